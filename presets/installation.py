"""Where this program was installed from, and how more of it is installed there."""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path

#: The name of the distribution. `inference-service`, which the command is called, is another
#: project on PyPI.
DISTRIBUTION = "durable-inference"
_ROOT = Path(__file__).parents[1]


def command(extra: str) -> str:
    """The command that adds what an extra needs: from this checkout, or by the distribution."""
    if (_ROOT / "setup.cfg").is_file():
        return f"pip install --editable {shlex.quote(f'{_ROOT}[{extra}]')}"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def version() -> str:
    """The installed version; of a source tree that was never installed, that it is not known."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0+unknown"
