"""An answer on the terminal as it comes, and what the model thinks before it."""

from __future__ import annotations

import click


class AnswerPrinter:
    """Prints one answer.

    Thoughts go dimmed to standard error: a pipe gets the answer and nothing else.
    """

    def __init__(self, *, thinks_aloud: bool) -> None:
        self._thinks_aloud = thinks_aloud
        self._thinking = False

    def think(self, text: str) -> None:
        """Print a part of a thought, where that is wanted."""
        if text and self._thinks_aloud:
            self._thinking = True
            click.secho(text, nl=False, err=True, dim=True)

    def say(self, text: str) -> None:
        """Print a part of the answer."""
        if text:
            self._end_thought()
            click.echo(text, nl=False)

    def end(self) -> None:
        """The answer has ended, or an answer without a word."""
        self._end_thought()
        click.echo()

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            click.echo("\n", err=True)
