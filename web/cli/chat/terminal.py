"""A conversation in the terminal, from its first line to its last."""

from __future__ import annotations

import sys

import click
import httpx

from web.cli.chat import slash
from web.cli.chat.conversation import SILENCE_S, Conversation, Refused, models
from web.cli.connection import connect, failure
from web.cli.problem import INTERRUPTED, CommandError
from web.cli.startup import load_settings

#: The most bytes of a prompt that comes through a pipe.
_LARGEST_PROMPT_BYTES = 8 * 2**20


def converse(conversation: Conversation, prompt: str | None) -> None:
    """Answer the prompt, or talk until the user leaves.

    Without a prompt and a terminal the whole standard input is the prompt.

    Raises:
        CommandError: the prompt cannot be answered.
        httpx.HTTPError: no service answers.
    """
    if prompt is None and not sys.stdin.isatty():
        prompt = _piped()
    with connect(timeout_s=SILENCE_S) as client:
        try:
            conversation.model = conversation.model or _first_loaded(client)
            if prompt is not None:
                finish_reason = conversation.answer(client, prompt)
                _tell_of_limit(finish_reason, "--max-tokens N allows more.")
                return
        except Refused as refused:
            raise CommandError(str(refused)) from None
        except KeyboardInterrupt:
            click.echo("\nThe answer is stopped; nothing goes on.", err=True)
            sys.exit(INTERRUPTED)
        _talk(conversation, client)


def _talk(conversation: Conversation, client: httpx.Client) -> None:
    from web.cli.chat.line_editor import LineEditor  # takes a tenth of a second

    editor = LineEditor(load_settings().data_dir / "chat_history")
    click.echo(f"{conversation.model} answers. /help lists the commands, Ctrl-D leaves.", err=True)
    while True:
        try:
            line = editor.read()
        except EOFError:
            return
        except KeyboardInterrupt:
            click.echo("Ctrl-D or /bye leaves.", err=True)
            continue
        if not line:
            continue
        try:
            if line.startswith("/") and not line.startswith("//"):
                click.echo(slash.run(conversation, client, line))
                continue
            finish_reason = conversation.answer(client, line.removeprefix("/"))
            _tell_of_limit(finish_reason, "/set max_tokens N allows more.")
        except slash.Leave:
            return
        except Refused as refused:
            click.echo(str(refused), err=True)
        except httpx.HTTPError as error:
            click.echo(failure(error), err=True)
        except KeyboardInterrupt:
            click.echo("[The answer is stopped.]", err=True)


def _piped() -> str:
    """The standard input as a prompt.

    Raises:
        CommandError: it is empty, too large, or no UTF-8.
    """
    data = sys.stdin.buffer.read(_LARGEST_PROMPT_BYTES + 1)
    if len(data) > _LARGEST_PROMPT_BYTES:
        raise CommandError(f"The prompt has more than {_LARGEST_PROMPT_BYTES // 2**20} MiB.", 2)
    try:
        text = data.decode().strip()
    except UnicodeDecodeError as error:
        raise CommandError(f"The standard input is not valid UTF-8: {error}.", 2) from None
    if not text:
        raise CommandError("There is no prompt: give one as an argument or through a pipe.", 2)
    return text


def _first_loaded(client: httpx.Client) -> str:
    for model, status in models(client).items():
        if status == "loaded":
            return model
    raise Refused("No model is loaded yet. See: inference-service status")


def _tell_of_limit(finish_reason: str | None, todo: str) -> None:
    if finish_reason == "length":
        click.echo(f"[The answer is cut at its limit of tokens. {todo}]", err=True)
