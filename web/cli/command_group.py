"""The group that finds its commands by their modules."""

from __future__ import annotations

import importlib
import pkgutil

import click

from web.cli import commands


class CommandGroup(click.Group):
    """Commands that are registered, and one for each module in `web.cli.commands`.

    A module has the command under its own name, and is imported when that command is asked for, or
    all are listed: a new command is a new module and nothing else.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_modules()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        registered = super().get_command(ctx, cmd_name)
        if registered is not None or cmd_name not in _modules():
            return registered
        module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


def _modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(commands.__path__)}
