"""Where tables are printed."""

from __future__ import annotations

import sys

from rich.console import Console

#: Columns of a table that goes to a pipe or a file: nothing may be cut there.
_PIPED_WIDTH = 250


def console() -> Console:
    """The standard output, as wide as the terminal, or wide enough for a program that reads it."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
