"""`inference-service chat`: a conversation in the terminal."""

from __future__ import annotations

from typing import Any

import click

from web.cli import model_names
from web.cli.chat.options import conversation_options
from web.cli.connection import service_command


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--model",
    "-m",
    shell_complete=model_names.complete,
    help="The model to talk to. Default: the first one that is loaded.",
)
@conversation_options
@service_command
def chat(prompt: str | None, model: str | None, **options: Any) -> None:
    """Talk to a model. With PROMPT, print one answer and exit.

    A prompt may come through a pipe, too. Within a conversation /help lists the commands, Ctrl-C
    stops an answer, and Ctrl-D leaves. What was typed is kept in the file chat_history of the data
    directory, for the keys Up and Down.
    """
    talk(prompt, model, **options)


def talk(
    prompt: str | None,
    model: str | None,
    *,
    system: str | None,
    max_tokens: int,
    temperature: float | None,
    mode: str | None,
    reasoning: bool,
) -> None:
    """Begin a conversation with the options of the command line."""
    from web.cli.chat.conversation import Conversation
    from web.cli.chat.terminal import converse

    options = {"max_tokens": max_tokens, "temperature": temperature, "orchestration_mode": mode}
    converse(Conversation(model or "", system, options, reasoning), prompt)
