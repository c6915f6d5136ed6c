"""A server of calls: threads that take them from Redis, and answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from workers.contract.errors import InferenceError, Internal
from workers.store.calls import Calls, encode_error

log = logging.getLogger(__name__)

#: Seconds that a thread waits for a call before it looks whether it is to end; below the
#: connection's own timeout.
WAIT_S = 1
_PAUSE_S = 0.5


class CallServer:
    """Takes calls on several threads until it is stopped."""

    def __init__(
        self,
        calls: Calls,
        queues: Sequence[str],
        answer: Callable[[bytes], bytes],
        *,
        name: str,
        threads: int,
    ) -> None:
        """`answer` makes an answer of a call's body; an `InferenceError` of it is the answer."""
        self._calls = calls
        self._queues = tuple(queues)
        self._make_answer = answer
        self._ended = threading.Event()
        #: When the last call came, by `time.monotonic`.
        self.used_at = time.monotonic()
        self._threads = [
            threading.Thread(target=self._take_calls, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads; may be called once."""
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> None:
        """Take no further call, and wait so long for those that run. Safe to call twice."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(WAIT_S + within_s)

    def _take_calls(self) -> None:
        while not self._ended.is_set():
            try:
                taken = self._calls.take(self._queues, WAIT_S)
                if taken is not None:
                    number, body = taken
                    self.used_at = time.monotonic()
                    self._calls.reply(number, self._answer(body))
            except RedisError as error:
                log.warning("Redis is unavailable: %s", error)
                self._ended.wait(_PAUSE_S)
            except Exception:
                log.exception("a call cannot be taken")

    def _answer(self, body: bytes) -> bytes:
        try:
            return self._make_answer(body)
        except InferenceError as error:
            log.info("a call is refused: %s", error.for_log())
            return encode_error(error)
        except Exception:  # among others one that cannot be read: its caller is of another version
            log.exception("a call failed with an unexpected error")
            return encode_error(Internal())
