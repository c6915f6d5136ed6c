"""Calls on the tokenizer process, and its answers: lists in Redis with an end to every wait.

A call that nobody takes, or whose tokenizer dies over it, is lost: its caller learns so and may ask
again. So there is no lease and no message that is sent twice. A call's body expires with its
caller's patience, and what has expired is not worked on.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import InferenceError, NoWorker, TemporaryResource
from workers.contract.job import Message, TemplateOptions
from workers.contract.tokenizing import TokenizerCall

#: Seconds that a caller waits. The tokenizer gives up on a call after 10.
TIMEOUT_S = 15.0
#: Seconds after which a tokenizer that has not begun to answer, though it was woken, is away: it
#: starts in two.
STARTS_WITHIN_S = 10.0
#: Calls of one process at once: each holds a connection while it waits. The rest is refused.
MOST_WAITING = 16
#: Seconds between two looks whether the tokenizer lives; below the connection's own timeout.
_LOOK_S = 1
#: An answer is kept so long for a caller that looks for it a moment too late.
_REPLY_TTL_S = 5
_DEFAULTS = TemplateOptions()


@dataclass(frozen=True, slots=True)
class TokenizerReply:
    """What the tokenizer answers."""

    #: Tokens of each text, or of the one prompt.
    counts: tuple[int, ...] = ()
    #: The text of ids.
    text: str = ""
    #: The ids, as a JSON list: who passes them on has no need to look into it.
    token_ids: bytes = b"[]"

    def encode(self) -> bytes:
        """As it travels: a line of JSON, then the ids."""
        head = json.dumps({"counts": self.counts, "text": self.text}, ensure_ascii=False)
        return head.encode(errors="replace") + b"\n" + self.token_ids


def encode_error(error: InferenceError) -> bytes:
    """The answer to a call that failed."""
    return json.dumps({"error": error.to_dict()}, ensure_ascii=False).encode(errors="replace")


class TokenizerCalls:
    """The callers' side; a `TokenCounter`. Safe from several threads."""

    def __init__(self, redis: Redis, *, urgent: bool = False) -> None:
        """`redis`: a client of its own, since waiting callers hold its connections. `urgent`: its
        calls are taken before others': jobs wait for them.
        """
        self._redis = redis
        self._list = keys.TOKENIZER_URGENT if urgent else keys.TOKENIZER_CALLS
        self._permits = threading.BoundedSemaphore(MOST_WAITING)

    def count_messages(
        self, model: str, messages: Sequence[Message], template: TemplateOptions = _DEFAULTS
    ) -> int:
        """See `TokenCounter.count_messages`."""
        (count,) = self.call(TokenizerCall(model, tuple(messages), template)).counts
        return count

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
        if not self._permits.acquire(blocking=False):
            raise TemporaryResource(
                f"{MOST_WAITING} calls wait for the tokenizer already. Try again in a moment.",
                details={"bound": "tokenizer_calls", "limit": MOST_WAITING},
            )
        try:
            return _decoded(self._answer(call))
        finally:
            self._permits.release()

    def _answer(self, call: TokenizerCall) -> bytes:
        number = uuid.uuid4().hex
        body = json.dumps(call.to_dict(), ensure_ascii=False).encode(errors="replace")
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(keys.tokenizer_call(number), body, px=round(TIMEOUT_S * 1000))
        pipeline.rpush(self._list, number)
        pipeline.expire(self._list, round(TIMEOUT_S))
        pipeline.get(keys.TOKENIZER)
        first = now = pipeline.execute()[-1]
        begun_at = time.monotonic()
        while (waited_s := time.monotonic() - begun_at) < TIMEOUT_S:
            if now is None:
                if first is None and waited_s > STARTS_WITHIN_S:
                    break
                self._wake()
            answer: Any = self._redis.blpop([keys.tokenizer_reply(number)], _LOOK_S)
            if answer is not None:
                return bytes(answer[1])
            now = self._living(number, first)
            first = first or now
        self._redis.delete(keys.tokenizer_call(number))
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
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(keys.TOKENIZER)
        pipeline.exists(keys.tokenizer_call(number))
        now, waits = pipeline.execute()
        if None not in (first, now) and now != first and not waits:
            raise NoWorker("The tokenizer died while it counted. Try again in a moment.")
        return now


def take(redis: Redis, wait_s: int) -> tuple[str, TokenizerCall] | None:
    """The next call and its number, for the tokenizer; None: none came, or it has expired.

    Raises:
        redis.RedisError: Redis is away.
    """
    lists = [keys.TOKENIZER_URGENT, keys.TOKENIZER_CALLS]
    taken: Any = redis.blpop(lists, wait_s)
    if taken is None:
        return None
    number = taken[1].decode()
    body: Any = redis.getdel(keys.tokenizer_call(number))
    return None if body is None else (number, TokenizerCall.from_dict(json.loads(body)))


def reply(redis: Redis, number: str, answer: bytes) -> None:
    """Answer a call.

    Raises:
        redis.RedisError: Redis is away.
    """
    key = keys.tokenizer_reply(number)
    pipeline = redis.pipeline(transaction=False)
    pipeline.rpush(key, answer)
    pipeline.expire(key, _REPLY_TTL_S)
    pipeline.execute()


def _decoded(answer: bytes) -> TokenizerReply:
    head, _, ids = answer.partition(b"\n")
    data: Mapping[str, Any] = json.loads(head)
    if (error := data.get("error")) is not None:
        raise InferenceError.from_dict(error)
    return TokenizerReply(tuple(data["counts"]), data["text"], ids)
