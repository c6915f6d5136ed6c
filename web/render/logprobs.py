"""Log probabilities as the OpenAI API shows them: of the tokens of the content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.contract.events import Token
from workers.contract.job import Job
from workers.contract.logprobs import Logprob, PackedLogprobs, unpack


class AnswerLogprobs:
    """Follows the answers to one request, each a step, from their first event on."""

    def __init__(self, job: Job) -> None:
        self._asked = job.sampling.logprobs is not None
        self._steps: dict[str, ContentLogprobs] = {}

    def take(self, token: Token) -> dict[str, Any] | None:
        """`logprobs` of a choice, for the text of these tokens; None where none are asked for."""
        if not self._asked:
            return None
        return _body(self._steps.setdefault(token.step, ContentLogprobs()).take(token))


class TextLogprobs:
    """Follows one choice of a text completion: OpenAI's older form, a list of each kind."""

    def __init__(self) -> None:
        self._answer = ContentLogprobs()
        self._offset = 0

    def take(self, token: Token) -> dict[str, Any]:
        """`logprobs` of a choice, for the text of these tokens."""
        content = self._answer.take(token)
        offsets = []
        for shown in content:
            offsets.append(self._offset)
            self._offset += len(shown["token"])
        return {
            "tokens": [shown["token"] for shown in content],
            "token_logprobs": [shown["logprob"] for shown in content],
            "top_logprobs": [
                {other["token"]: other["logprob"] for other in reversed(shown["top_logprobs"])}
                for shown in content
            ],
            "text_offset": offsets,
        }


def of_text(job: Job, tokens: Iterable[Token]) -> dict[str, Any] | None:
    """`logprobs` of a choice of a text completion; None where none are asked for."""
    if job.sampling.logprobs is None:
        return None
    answer = TextLogprobs()
    parts = [answer.take(token) for token in tokens]
    names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    return {name: [value for part in parts for value in part[name]] for name in names}


def of_answer(job: Job, tokens: Iterable[Token]) -> dict[str, Any] | None:
    """`logprobs` of a choice, for all of its tokens; None where none are asked for."""
    if job.sampling.logprobs is None:
        return None
    answer = ContentLogprobs()
    return _body([shown for token in tokens for shown in answer.take(token)])


class ContentLogprobs:
    """Follows the tokens of one answer, from its first event on.

    A token's log probabilities come with its id; that it is content, with its text.
    """

    def __init__(self) -> None:
        self._next = 0
        #: Place of a token -> what is known of it, until it is known whether it is content.
        self._waiting: dict[int, PackedLogprobs] = {}

    def take(self, token: Token) -> list[dict[str, Any]]:
        """What is to be shown with the text of these tokens."""
        for place, packed in enumerate(token.logprobs, self._next):
            if packed:
                self._waiting[place] = packed
        self._next += len(token.token_ids)
        told = (self._waiting.pop(place, ()) for place in token.content_tokens)
        shown = [entry(packed) for packed in told if packed]
        if token.content_tokens:  # they come in order: what was passed over is none
            last = token.content_tokens[-1]
            self._waiting = {at: each for at, each in self._waiting.items() if at > last}
        return shown


def entry(packed: PackedLogprobs) -> dict[str, Any]:
    """One token, and what else could have come."""
    chosen, *alternatives = (_shown(each) for each in unpack(packed))
    return {**chosen, "top_logprobs": alternatives}


def _body(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": content, "refusal": None}


def _shown(each: Logprob) -> dict[str, Any]:
    return {
        "id": each.token_id,
        "token": each.piece.decode("utf-8", "replace"),
        "bytes": list(each.piece),
        "logprob": each.logprob,
    }
