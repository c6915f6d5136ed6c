"""Calls between processes, and their answers: lists in Redis with an end to every wait.

A call that nobody takes, or whose server dies over it, is lost: its caller learns so and may ask
again. So there is no lease and no message that is sent twice. A call's body expires with its
caller's patience, and what has expired is not worked on.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import InferenceError, TemporaryResource

#: Calls of one process at once: each holds a connection while it waits. The rest is refused.
MOST_WAITING = 16
#: Seconds after its last call for which a queue is kept: longer than anybody waits.
_QUEUE_TTL_S = 60
#: An answer is kept so long for a caller that looks for it a moment too late.
_REPLY_TTL_S = 5


class Calls:
    """The calls on one kind of server, for both sides. Safe from several threads."""

    def __init__(self, redis: Redis, service: str) -> None:
        """`redis`: a client of its own, since who waits holds its connections. `service`: what is
        called, as keys have it.
        """
        self._redis = redis
        self._service = service
        self._permits = threading.BoundedSemaphore(MOST_WAITING)

    @contextlib.contextmanager
    def permit(self) -> Iterator[None]:
        """Hold one of the permits of callers in this process.

        Raises:
            TemporaryResource: as many calls wait as may.
        """
        if not self._permits.acquire(blocking=False):
            raise TemporaryResource(
                f"{MOST_WAITING} calls wait for the {self._service} already. Try again in a "
                "moment.",
                details={"bound": f"{self._service}_calls", "limit": MOST_WAITING},
            )
        try:
            yield
        finally:
            self._permits.release()

    def send(self, queue: str, body: bytes, timeout_s: float) -> str:
        """Put a call on a queue for so long; returns its number."""
        number = uuid.uuid4().hex
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(keys.call(self._service, number), body, px=max(1, round(timeout_s * 1000)))
        pipeline.rpush(queue, number)
        pipeline.expire(queue, _QUEUE_TTL_S)
        pipeline.execute()
        return number

    def answer(self, number: str, wait_s: float) -> bytes | None:
        """The answer to a call; None where none came in time."""
        raw: Any = self._redis.blpop([keys.reply(self._service, number)], wait_s)
        return None if raw is None else bytes(raw[1])

    def is_taken(self, number: str) -> bool:
        """Whether a server has begun with a call, or it has expired."""
        return not self._redis.exists(keys.call(self._service, number))

    def withdraw(self, queue: str, number: str) -> None:
        """Let nobody begin with a call any longer."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.delete(keys.call(self._service, number))
        pipeline.lrem(queue, 1, number)
        pipeline.execute()

    def take(self, queues: Sequence[str], wait_s: float) -> tuple[str, bytes] | None:
        """The number and body of the next call, of the first queue that has one; None: none came,
        or it has expired.
        """
        taken: Any = self._redis.blpop(list(queues), wait_s)
        if taken is None:
            return None
        number = taken[1].decode()
        body: Any = self._redis.getdel(keys.call(self._service, number))
        return None if body is None else (number, bytes(body))

    def reply(self, number: str, answer: bytes) -> None:
        """Answer a call."""
        key = keys.reply(self._service, number)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.rpush(key, answer)
        pipeline.expire(key, _REPLY_TTL_S)
        pipeline.execute()


def encode_error(error: InferenceError) -> bytes:
    """The answer to a call that failed."""
    return json.dumps({"error": error.to_dict()}, ensure_ascii=False).encode(errors="replace")
