"""A conversation with the running service in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
import httpx

from web.access.keys import authorization
from web.cli.answer_printer import AnswerPrinter
from web.cli.up.command import address
from workers.settings import Settings

#: A stream that stands still for longer than the service allows has lost its service.
_SILENCE_S = 150.0


class _Refused(Exception):
    """The service answered with an error."""


def run(
    settings: Settings,
    *,
    prompt: str | None,
    model: str | None,
    system: str | None,
    options: Mapping[str, Any],
    shows_reasoning: bool,
) -> int:
    """Talk until the user leaves, or answer one prompt; returns the exit status.

    `shows_reasoning`: what the model thinks is printed too.
    """
    service, headers = address(settings), authorization(settings)
    with httpx.Client(base_url=service, headers=headers, timeout=_SILENCE_S) as client:
        try:
            model = model or _first_loaded(client)
            conversation = [{"role": "system", "content": system}] if system else []
            if prompt is not None:
                _turn(client, model, conversation, prompt, options, shows_reasoning)
                return 0
            click.echo(f"{model}; an empty line or Ctrl-D ends.", err=True)
            while line := _ask():
                try:
                    _turn(client, model, conversation, line, options, shows_reasoning)
                except KeyboardInterrupt:
                    click.echo(" [stopped]")
        except _Refused as error:
            click.echo(str(error), err=True)
            return 1
        except httpx.ConnectError:
            click.echo(
                f"No service answers at {address(settings)}. Start it with: inference-service up",
                err=True,
            )
            return 1
        except httpx.HTTPError as error:
            click.echo(f"The connection broke: {error}", err=True)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


def _ask() -> str:
    try:
        return input("> ")
    except EOFError:
        return ""


def _first_loaded(client: httpx.Client) -> str:
    answer = client.get("/v1/models")
    _raise_for_error(answer)
    loaded = [entry["id"] for entry in answer.json()["data"] if entry["status"] == "loaded"]
    if not loaded:
        raise _Refused("No model is loaded yet; see: inference-service models")
    return str(loaded[0])


def _turn(
    client: httpx.Client,
    model: str,
    conversation: list[dict[str, str]],
    line: str,
    options: Mapping[str, Any],
    shows_reasoning: bool,
) -> None:
    conversation.append({"role": "user", "content": line})
    pieces: list[str] = []
    printer = AnswerPrinter(shows_reasoning=shows_reasoning)
    try:
        for delta in _stream(client, model, conversation, options):
            printer.think(delta.get("reasoning_content", ""))
            printer.say(delta.get("content", ""))
            pieces.append(delta.get("content", ""))
        printer.end()
    finally:
        conversation.append({"role": "assistant", "content": "".join(pieces)})


def _stream(
    client: httpx.Client,
    model: str,
    conversation: list[dict[str, str]],
    options: Mapping[str, Any],
) -> Iterator[dict[str, str]]:
    body = {"model": model, "messages": conversation, "stream": True, **options}
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        if answer.is_error:
            answer.read()
            _raise_for_error(answer)
        for line in answer.iter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            frame = json.loads(line.removeprefix("data: "))
            if "error" in frame:
                raise _Refused(f"\n{frame['error']['code']}: {frame['error']['message']}")
            for choice in frame["choices"]:
                yield choice["delta"]


def _raise_for_error(answer: httpx.Response) -> None:
    if answer.is_error:
        try:
            error = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            raise _Refused(f"The service answered {answer.status_code}.") from None
        raise _Refused(f"{error['code']}: {error['message']}")
