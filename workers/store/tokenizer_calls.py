"""Calls on the tokenizer process, and its answers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import InferenceError, NoWorker, TemporaryResource
from workers.contract.job import Message, TemplateOptions
from workers.contract.tokenizing import TokenizerCall
from workers.store.calls import Calls

#: Seconds that a caller waits. The tokenizer gives up on a call after 10.
TIMEOUT_S = 15.0
#: Seconds after which a tokenizer that has not begun to answer, though it was woken, is away: it
#: starts in two.
STARTS_WITHIN_S = 10.0
#: What is called, as keys have it.
SERVICE = "tokenizer"
#: Seconds between two looks whether the tokenizer lives; below the connection's own timeout.
_LOOK_S = 1
_DEFAULTS = TemplateOptions()


@dataclass(frozen=True, slots=True)
class TokenizerReply:
    """What the tokenizer answers."""

    #: Tokens of the prompt, if there is one, then of each text.
    counts: tuple[int, ...] = ()
    #: The text of ids.
    text: str = ""
    #: The ids, as a JSON list: who passes them on has no need to look into it.
    token_ids: bytes = b"[]"

    def encode(self) -> bytes:
        """As it travels: a line of JSON, then the ids."""
        head = json.dumps({"counts": self.counts, "text": self.text}, ensure_ascii=False)
        return head.encode(errors="replace") + b"\n" + self.token_ids


class TokenizerCalls:
    """The callers' side; a `TokenCounter`. Safe from several threads."""

    def __init__(self, redis: Redis, *, urgent: bool = False) -> None:
        """`redis`: a client of its own, since waiting callers hold its connections. `urgent`: its
        calls are taken before others': jobs wait for them.
        """
        self._redis = redis
        self._queue = keys.TOKENIZER_URGENT if urgent else keys.TOKENIZER_CALLS
        self._calls = Calls(redis, SERVICE)

    def count_messages(
        self, model: str, messages: Sequence[Message], template: TemplateOptions = _DEFAULTS
    ) -> int:
        """See `TokenCounter.count_messages`."""
        (count,) = self.call(TokenizerCall(model, tuple(messages), template)).counts
        return count

    def count_prompt(
        self,
        model: str,
        messages: Sequence[Message],
        texts: Sequence[str],
        template: TemplateOptions = _DEFAULTS,
    ) -> tuple[int, tuple[int, ...]]:
        """See `TokenCounter.count_prompt`."""
        call = TokenizerCall(model, tuple(messages), template, texts=tuple(texts))
        counts = self.call(call).counts
        if len(counts) == len(texts):  # a tokenizer of the version before counts the texts alone
            return self.count_messages(model, messages, template), counts
        return counts[0], counts[1:]

    def count_texts(self, model: str, texts: Sequence[str]) -> tuple[int, ...]:
        """See `TokenCounter.count_texts`."""
        return self.call(TokenizerCall(model, texts=tuple(texts))).counts if texts else ()

    def call(self, call: TokenizerCall) -> TokenizerReply:
        """Ask, and wait for the answer, 15 seconds at most.

        Raises:
            InferenceError: as the tokenizer answers; see `TokenCounter`.
            TemporaryResource: too many calls wait already, or it did not answer in time.
            NoWorker: no tokenizer runs, or it died over this call.
            redis.RedisError: Redis is away.
        """
        with self._calls.permit():
            return _decoded(self._answer(call))

    def _answer(self, call: TokenizerCall) -> bytes:
        body = json.dumps(call.to_dict(), ensure_ascii=False).encode(errors="replace")
        first = now = self._redis.get(keys.TOKENIZER)  # before anybody can die over the call
        number = self._calls.send(self._queue, body, TIMEOUT_S)
        begun_at = time.monotonic()
        while (waited_s := time.monotonic() - begun_at) < TIMEOUT_S:
            if now is None:
                if first is None and waited_s > STARTS_WITHIN_S:
                    break
                self._wake()
            answer = self._calls.answer(number, _LOOK_S)
            if answer is not None:
                return answer
            now = self._living(number, first)
            first = first or now
        self._calls.withdraw(self._queue, number)
        if now is None:
            raise NoWorker(
                "No tokenizer answers: it is started by the orchestration worker. Does that run?"
            )
        raise TemporaryResource(
            f"The tokenizer did not answer within {TIMEOUT_S:g} s: it has much to do.",
            details={"bound": "tokenizer_s", "limit": TIMEOUT_S},
        )

    def _wake(self) -> None:
        """Let an orchestration worker start the tokenizer."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.rpush(keys.TOKENIZER_WAKE, b"")
        pipeline.ltrim(keys.TOKENIZER_WAKE, -1, -1)
        pipeline.expire(keys.TOKENIZER_WAKE, round(TIMEOUT_S))
        pipeline.execute()

    def _living(self, number: str, first: Any) -> Any:
        """The tokenizer that lives now; None: none says so, which one may be too busy for.

        Raises:
            NoWorker: it is another than the `first`, and that had taken the call.
        """
        now = self._redis.get(keys.TOKENIZER)
        if None not in (first, now) and now != first and self._calls.is_taken(number):
            raise NoWorker("The tokenizer died while it counted. Try again in a moment.")
        return now


def _decoded(answer: bytes) -> TokenizerReply:
    head, _, ids = answer.partition(b"\n")
    data: Mapping[str, Any] = json.loads(head)
    if (error := data.get("error")) is not None:
        raise InferenceError.from_dict(error)
    return TokenizerReply(tuple(data["counts"]), data["text"], ids)
