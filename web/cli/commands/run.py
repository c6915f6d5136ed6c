"""`inference-service run`: a model that is named first, as Ollama has it."""

from __future__ import annotations

from typing import Any

import click

from web.cli import model_names
from web.cli.chat.options import conversation_options
from web.cli.commands.chat import talk
from web.cli.connection import service_command


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.argument("prompt", nargs=-1)
@conversation_options
@service_command
def run(model: str, prompt: tuple[str, ...], **options: Any) -> None:
    """Talk to MODEL. With PROMPT, print one answer and exit.

    The same as `chat --model MODEL`. The service must run: see `up`.
    """
    talk(" ".join(prompt) or None, model, **options)
