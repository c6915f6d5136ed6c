"""Prints an answer on the terminal as it comes, and the reasoning before it."""

from __future__ import annotations

import re
import sys

import click

#: What a terminal would obey and not show. Tab, line feed and carriage return stay.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class AnswerPrinter:
    """Prints one answer.

    Reasoning goes dimmed to standard error: a pipe gets the answer and nothing else. A terminal
    gets no control characters: a text must not move its cursor or write its clipboard.
    """

    def __init__(self, *, shows_reasoning: bool) -> None:
        self._shows_reasoning = shows_reasoning
        self._thinking = False
        self._calling = False
        self._in_line = False

    def think(self, text: str) -> None:
        """Print a part of the reasoning, if it is to be shown."""
        if text and self._shows_reasoning:
            self._thinking = True
            shown = _CONTROLS.sub("", text) if sys.stderr.isatty() else text
            click.secho(shown, nl=False, err=True, dim=True)

    def say(self, text: str) -> None:
        """Print a part of the answer."""
        if text:
            self._end_thought()
            self._in_line = not text.endswith("\n")
            click.echo(_CONTROLS.sub("", text) if sys.stdout.isatty() else text, nl=False)

    def call(self, name: str, arguments: str) -> None:
        """Print a piece of a call, as `name(arguments)` on a line of its own; a name begins one."""
        if name:
            self._end_call()
            self.say(f"\n{name}(" if self._in_line else f"{name}(")
            self._calling = True
        self.say(arguments)

    def end(self) -> None:
        """End the line of the answer, also of an empty one."""
        self._end_thought()
        self._end_call()
        click.echo()

    def _end_call(self) -> None:
        if self._calling:
            self._calling = False
            self.say(")")

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            click.echo("\n", err=True)
