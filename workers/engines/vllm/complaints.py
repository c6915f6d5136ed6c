"""What vLLM's processes say when they fail: their errors go to a file too, and its last line is
the cause that a model's status shows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)-7s [vllm %(process)d] %(message)s"


class Complaints:
    """The errors of one engine's processes."""

    def __init__(self, directory: Path) -> None:
        """Make a fresh file for them, and the logging configuration that writes to it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{os.getpid()}.errors"
        self._file.write_text("")
        #: For `VLLM_LOGGING_CONFIG_PATH`.
        self.config = directory / f"{os.getpid()}.logging.json"
        self.config.write_text(json.dumps(_logging(self._file)))

    def last(self) -> str | None:
        """The last line of the last error; of a traceback that is what was raised."""
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return None
        return next((line for line in reversed(lines) if line.strip()), None)

    def close(self) -> None:
        """Remove the files."""
        self._file.unlink(missing_ok=True)
        self.config.unlink(missing_ok=True)


def _logging(file: Path) -> dict[str, object]:
    """The configuration: warnings and worse to standard error, errors to the file too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _FORMAT}, "bare": {"format": "%(message)s"}},
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
