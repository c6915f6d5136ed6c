"""What was said in one conversation, and how the next answer is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import reason
from workers.contract.fields import without_none

#: A stream that stands still for longer than the service allows has lost its service.
SILENCE_S = 150.0


class Refused(Exception):
    """The service answered with an error; the message is its own."""


@dataclass
class Conversation:
    """The messages of one conversation, and the options of its requests."""

    model: str
    system: str | None = None
    #: Fields of the requests; None: the service's default.
    options: dict[str, Any] = field(default_factory=dict)
    shows_reasoning: bool = True
    messages: list[dict[str, str]] = field(default_factory=list)

    def answer(self, client: httpx.Client, text: str) -> str | None:
        """Print the answer to `text`; returns its finish reason, None where it has none.

        What was answered up to an error or a Ctrl-C stays in the conversation. Where nothing was,
        the question does not stay either.

        Raises:
            Refused: the service refuses, or the answer failed in the middle.
            httpx.HTTPError: no service answers, or the connection broke.
            KeyboardInterrupt: the user stopped the answer; the service stops it, too.
        """
        self.messages.append({"role": "user", "content": text})
        pieces: list[str] = []
        finish_reason = None
        printer = AnswerPrinter(shows_reasoning=self.shows_reasoning)
        try:
            for choice in self._choices(client):
                delta = choice.get("delta", {})
                finish_reason = choice.get("finish_reason") or finish_reason
                printer.think(delta.get("reasoning_content") or "")
                printer.say(delta.get("content") or "")
                pieces.append(delta.get("content") or "")
        finally:
            if said := "".join(pieces):
                self.messages.append({"role": "assistant", "content": said})
            else:
                self.messages.pop()
            if said or finish_reason:
                printer.end()
        return finish_reason

    def _choices(self, client: httpx.Client) -> Iterator[dict[str, Any]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        body = {
            "model": self.model,
            "messages": system + self.messages,
            "stream": True,
            **without_none(self.options),
        }
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.is_error:
                answer.read()
                raise Refused(reason(answer))
            for line in answer.iter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                frame = json.loads(line.removeprefix("data: "))
                if "error" in frame:
                    raise Refused(frame["error"]["message"])
                yield from frame["choices"]


def models(client: httpx.Client) -> dict[str, str]:
    """Status of each model that the service has, by id.

    Raises:
        Refused: the service refuses, or something else answers.
        httpx.HTTPError: no service answers.
    """
    answer = client.get("/v1/models")
    if answer.is_error:
        raise Refused(reason(answer))
    try:
        return {entry["id"]: str(entry.get("status", "")) for entry in answer.json()["data"]}
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{client.base_url} answers without a list of models.") from None
