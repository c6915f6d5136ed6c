"""A group of commands that lists when it is not told what to do."""

from __future__ import annotations

import click


class DefaultList(click.Group):
    """A group whose command `list` runs where none is named, with the options that are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before options of its own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
