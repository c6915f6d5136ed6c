"""The group that finds its commands by their modules."""

from __future__ import annotations

import copy
import importlib
import os
import pkgutil
import sys
from typing import Any

import click

from web.cli import commands
from web.cli.aliases import ALIASES
from web.cli.problem import INTERRUPTED


class CommandGroup(click.Group):
    """Commands that are registered, one for each module in `web.cli.commands`, and their aliases.

    A module has the command under its own name, and is imported when that command is asked for, or
    all are listed: a new command is a new module and nothing else.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_modules(), *ALIASES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        if cmd_name in ALIASES:
            return self._alias(ctx, cmd_name)
        registered = super().get_command(ctx, cmd_name)
        if registered is not None or cmd_name not in _modules():
            return registered
        module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse arguments that are no UTF-8, unless they name a file.

        Python gives their bytes as surrogates, which no request and no JSON can hold.
        """
        for position, argument in enumerate(args, start=1):
            if _is_utf8(argument) or os.path.exists(argument):
                continue
            shown = os.fsencode(argument)[:80]
            raise click.UsageError(f"Argument {position} is not valid UTF-8: {shown!r}", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it with a word and the status that shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)
            sys.exit(INTERRUPTED)

    def _alias(self, ctx: click.Context, name: str) -> click.Command:
        words = ALIASES[name]
        command = self.get_command(ctx, words[0])
        for word in words[1:]:
            command = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if command is None:
            raise LookupError(f"{name!r} stands for {' '.join(words)}, which is no command")
        alias = copy.copy(command)
        alias.name = name
        alias.short_help = f"The same as: {' '.join(words)}."
        return alias


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commands.__path__)}
