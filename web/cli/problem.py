"""What ends a command with one line."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

#: The exit status of a command that Ctrl-C ended, as shells give it.
INTERRUPTED = 130
#: The exit status of a process that cannot start as it is set up: starting it again is no use.
MISUSE = 2


class CommandError(click.ClickException):
    """A command cannot do what it was asked; the message says why and what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The exit status, under click's name."""
        return self.status

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message to standard error."""
        click.echo(f"inference-service: {self.message}", file=file or sys.stderr)
