"""The errors of vLLM's processes: they go to a file too, and the cause that a model's status shows
comes from it.

Where a process fails, those above it fail too and say "see above": the first error is the cause.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

#: In front of each error in the file.
_BEGIN = "\x1e"
_FORMAT = "%(asctime)s %(levelname)-7s [vllm %(process)d] %(message)s"


class ErrorFile:
    """The errors of one engine's processes."""

    def __init__(self, directory: Path) -> None:
        """Make a fresh file for them, and the logging configuration that writes to it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{os.getpid()}.errors"
        self._file.write_text("")
        #: For `VLLM_LOGGING_CONFIG_PATH`.
        self.config = directory / f"{os.getpid()}.logging.json"
        self.config.write_text(json.dumps(_logging(self._file)))

    def cause(self) -> str | None:
        """The last line of the first error; of a traceback that is what was raised."""
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        first = next((record for record in text.split(_BEGIN) if record.strip()), "")
        return next((line for line in reversed(first.split("\n")) if line.strip()), None)

    def forget(self) -> None:
        """Forget the errors up to now: they are not the cause of later ones."""
        self._file.write_text("")

    def close(self) -> None:
        """Remove the files."""
        self._file.unlink(missing_ok=True)
        self.config.unlink(missing_ok=True)


def _logging(file: Path) -> dict[str, object]:
    """The configuration: warnings and worse to standard error, errors to the file too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _FORMAT}, "bare": {"format": f"{_BEGIN}%(message)s"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "level": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
                "formatter": "line",
            },
            "file": {
                "class": "logging.FileHandler",
                "level": "ERROR",
                "formatter": "bare",
                "filename": str(file),
            },
        },
        "loggers": {"vllm": {"level": "INFO", "handlers": ["stderr", "file"], "propagate": False}},
    }
