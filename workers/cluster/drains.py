"""Drains: a worker is asked, by its id, to end its answers and then itself.

Whoever started it starts it again, maybe as a newer version. SIGTERM does the same from the machine
itself, with the grace of the settings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys

log = logging.getLogger(__name__)

#: Seconds between two looks: each costs Redis a command, for every worker that there is.
LOOK_S = 1.0


class Drains:
    """Asks workers to drain."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def request(self, worker_id: str, grace_s: float | None = None) -> None:
        """Ask a worker; `grace_s`: what its answers get, None: what its settings say.

        Raises:
            redis.RedisError: Redis is away.
        """
        asked = json.dumps({"grace_s": grace_s})
        self._redis.set(keys.drain(worker_id), asked, px=keys.DRAIN_TTL_MS)


class DrainWatcher(BackgroundThread):
    """A thread that ends this worker when it is asked to drain."""

    def __init__(self, redis: Redis, worker_id: str, end: Callable[[], None]) -> None:
        """`end`: what ends this process as SIGTERM does, without a bound of its own."""
        super().__init__("drain-watcher")
        self._redis = redis
        self._key = keys.drain(worker_id)
        self._end = end
        self._asked: dict[str, Any] | None = None

    def grace_s(self, default_s: float | None) -> float | None:
        """Seconds for running answers at this end; a signal after the first gets the default."""
        asked, self._asked = self._asked, None
        given = None if asked is None else asked.get("grace_s")
        return default_s if given is None else float(given)

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                raw: Any = self._redis.getdel(self._key)
            except RedisError:
                continue
            if raw is not None:
                log.info("asked to drain: no new answers, and then the end")
                self._asked = json.loads(raw)
                self._end()
                return
