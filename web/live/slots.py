"""Slots: which synchronous requests this front end holds open."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys
from workers.lua.scripts import run

log = logging.getLogger(__name__)

#: Four renewals fit into the time after which a request counts as abandoned.
HOLD_S = keys.SLOT_MS / 4000


class Slots(BackgroundThread):
    """Says in Redis, again and again, which requests are open; those of a dead process expire."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("slots")
        self._redis = redis
        #: Jobs, and how many requests of this front end read each.
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def holding(self, job_id: str) -> Iterator[None]:
        """Hold a request's slot, which was taken when its job was stored."""
        with self._lock:
            self._open[job_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[job_id] -= 1
                if not self._open[job_id]:
                    del self._open[job_id]

    def _run(self) -> None:
        while not self._ending.wait(HOLD_S):
            with self._lock:
                open_ = list(self._open)
            if not open_:
                continue
            try:
                run(self._redis, "hold", keys.SLOT_MS, *open_)
            except RedisError as error:
                log.debug("slots cannot be held while Redis is unavailable: %s", error)
