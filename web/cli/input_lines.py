"""Texts that a command is given: its arguments, else the lines of its standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from web.cli.problem import CommandError


def texts_or_lines(texts: Sequence[str]) -> list[str]:
    """The texts, at least one; of the standard input the lines that are not empty.

    Raises:
        CommandError: there is none.
    """
    given = list(texts) or [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not given:
        raise CommandError("There is no text: name some, or write them to the standard input.")
    return given
