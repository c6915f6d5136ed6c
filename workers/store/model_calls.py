"""Calls on a model's worker that are no jobs: asked and answered at once, and never kept.

What a caller can wait for goes through a job. A call is for what is worth nothing a moment later:
it takes no lease, is written nowhere, and is lost with the worker that had taken it. A worker says
in its presence which calls it takes, so that one of the version before is never asked for others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from redis import Redis

from workers.cluster.directory import Directory
from workers.contract import keys
from workers.contract.errors import (
    EngineFailed,
    InferenceError,
    NoWorker,
    TemporaryResource,
    ValidationFailed,
)
from workers.store.calls import Calls

#: What is called, as keys have it.
SERVICE = "models"
#: Bytes of a call and of an answer: each is in Redis for a moment.
MOST_BYTES = 4 * 2**20
#: Seconds that anybody waits at most.
LONGEST_S = 30.0
#: Seconds between two looks whether a worker lives that takes the call.
_LOOK_S = 1.0


class ModelCalls:
    """The callers' side. Safe from several threads."""

    def __init__(self, redis: Redis, directory: Directory) -> None:
        """`redis`: a client of its own, since waiting callers hold its connections."""
        self._calls = Calls(redis, SERVICE)
        self._directory = directory

    def are_taken(self, model: str, name: str) -> bool:
        """Whether a worker of the model answers calls of this name.

        Raises:
            redis.RedisError: Redis is away.
        """
        return any(name in worker.calls for worker in self._directory.serving(model))

    def call(
        self, model: str, name: str, body: Mapping[str, Any], timeout_s: float
    ) -> Mapping[str, Any]:
        """What a worker of the model answers to a JSON-ready body within `timeout_s`.

        Raises:
            NoWorker: none that takes such calls is there, or it died over this one.
            TemporaryResource: too many calls wait already, or none answered in time.
            ValidationFailed: the body has more than `MOST_BYTES`.
            EngineFailed: the answer is none.
            InferenceError: as the worker answers.
            redis.RedisError: Redis is away.
        """
        asked = json.dumps({"name": name, "body": body}, ensure_ascii=False)
        raw = asked.encode(errors="replace")
        if len(raw) > MOST_BYTES:
            raise ValidationFailed(
                f"This is more than the {MOST_BYTES // 2**20} MiB that {model} takes at once. "
                "Send less.",
                details={"limit": MOST_BYTES},
            )
        if not self.are_taken(model, name):
            raise NoWorker(f"No worker of {model} takes such calls now ({name}).")
        with self._calls.permit():
            return _result(self._answer(model, name, raw, min(timeout_s, LONGEST_S)), model)

    def _answer(self, model: str, name: str, raw: bytes, timeout_s: float) -> bytes:
        until = time.monotonic() + timeout_s
        queue = keys.calls(model)
        number = self._calls.send(queue, raw, timeout_s)
        try:
            while (left_s := until - time.monotonic()) > 0:
                answer = self._calls.answer(number, min(left_s, _LOOK_S))
                if answer is not None:
                    return answer
                if not self.are_taken(model, name):
                    raise NoWorker(f"The worker of {model} has ended. Try again in a moment.")
            raise TemporaryResource(
                f"{model} did not answer within {timeout_s:g} s.",
                details={"bound": "model_call_s", "limit": timeout_s},
            )
        except (NoWorker, TemporaryResource):
            self._calls.withdraw(queue, number)
            raise


def _result(raw: bytes, model: str) -> Mapping[str, Any]:
    """What an answer says; it is looked at as a stranger's."""
    answer: Any = None
    if len(raw) <= MOST_BYTES:
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
    match answer:
        case {"result": dict(result)}:
            return result
        case {"error": {"code": str(), "message": str(), "details": dict()} as error}:
            raise InferenceError.from_dict(error)
    raise EngineFailed(f"{model} answered what cannot be read.")
