"""The options of a conversation: as the command line has them, and as `/set` changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from orchestration.modes import registry

#: The most tokens of an answer where nobody says otherwise: a small model may repeat itself up to
#: the end of its context, and a long answer has a few hundred.
MAX_TOKENS = 1024
_MOST_TOKENS = 1_000_000

_TOKENS = click.IntRange(1, _MOST_TOKENS)
_TEMPERATURE = click.FloatRange(0, 2)
_MODE = click.Choice(registry.names())

#: What `/set` knows beside `system` and `reasoning` -> the field of a request, its type, its
#: default.
SETTABLE: dict[str, tuple[str, click.ParamType[Any], Any]] = {
    "max_tokens": ("max_tokens", _TOKENS, MAX_TOKENS),
    "mode": ("orchestration_mode", _MODE, None),
    "seed": ("seed", click.IntRange(0, 2**31 - 1), None),
    "temperature": ("temperature", _TEMPERATURE, None),
    "top_p": ("top_p", click.FloatRange(0, 1), None),
}


def conversation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a conversation."""
    for option in reversed(
        (
            click.option("--system", "-s", help="The system message."),
            click.option(
                "--max-tokens",
                type=_TOKENS,
                default=MAX_TOKENS,
                show_default=True,
                help="The most tokens of an answer.",
            ),
            click.option(
                "--temperature",
                "-t",
                type=_TEMPERATURE,
                help="0 always takes the most likely token.",
            ),
            click.option("--mode", type=_MODE, help="How several models answer together."),
            click.option(
                "--reasoning/--no-reasoning", default=True, help="Show the model's reasoning."
            ),
        )
    ):
        command = option(command)
    return command
