"""The threads of a model's worker that answer calls, beside those that run steps."""

from __future__ import annotations

import json
from collections.abc import Mapping

from redis import Redis

from workers.contract import keys
from workers.contract.errors import EngineFailed, ValidationFailed
from workers.runtime.calls.registry import Handler
from workers.store.call_server import CallServer
from workers.store.calls import Calls
from workers.store.model_calls import MOST_BYTES, SERVICE

#: Calls at once: one that takes long leaves others a thread.
_THREADS = 2
#: Seconds that the end of a worker waits for calls that run.
_ENDS_WITHIN_S = 2.0


class ModelCallServer:
    """Answers the calls on one model."""

    def __init__(self, redis: Redis, model: str, handlers: Mapping[str, Handler]) -> None:
        """`redis`: a client with a connection for each thread."""
        self._handlers = handlers
        self._server = CallServer(
            Calls(redis, SERVICE), [keys.calls(model)], self._answer, name="calls", threads=_THREADS
        )

    def start(self) -> None:
        """Take calls from now on, where there are any to take."""
        if self._handlers:
            self._server.start()

    def stop(self) -> None:
        """Take no further call."""
        self._server.stop(_ENDS_WITHIN_S)

    def _answer(self, raw: bytes) -> bytes:
        match json.loads(raw):
            case {"name": str(name), "body": dict(body)} if name in self._handlers:
                result = self._handlers[name](body)
            case _:
                raise ValidationFailed("This worker knows no such call.")
        answer = json.dumps({"result": result}, ensure_ascii=False).encode(errors="replace")
        if len(answer) > MOST_BYTES:
            raise EngineFailed(f"The answer has more than {MOST_BYTES} bytes.")
        return answer
