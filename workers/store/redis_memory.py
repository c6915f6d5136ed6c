"""How full Redis is."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

#: Above this part of its memory no new work is taken in; the rest is for ending what is there.
FULL = 0.9
#: Seconds an answer is used again, so that load does not multiply the question.
_TTL_S = 0.5


class RedisMemory:
    """Redis' memory, by its own account."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._used = 0
        self._limit = 0

    def used(self) -> float:
        """The part of Redis' memory that is used; 0 where it has no limit.

        Raises:
            redis.RedisError: Redis is away.
        """
        with self._lock:
            self._read()
            return self._used / self._limit if self._limit else 0.0

    def limit(self) -> int | None:
        """Bytes that Redis may use; None where it has no limit.

        Raises:
            redis.RedisError: Redis is away.
        """
        with self._lock:
            self._read()
            return self._limit or None

    def _read(self) -> None:
        if time.monotonic() - self._read_at < _TTL_S:
            return
        memory: Any = self._redis.info("memory")
        self._limit = int(memory.get("maxmemory", 0))
        self._used = int(memory["used_memory"])
        self._read_at = time.monotonic()


def warn_of_eviction(redis: Redis) -> None:
    """Warn the operator of a Redis that may evict accepted jobs."""
    try:
        setting: Any = redis.config_get("maxmemory-policy")
    except RedisError as error:  # away, or a hosted one that keeps its settings to itself
        log.info("the maxmemory-policy of Redis cannot be read: %s", error)
        return
    policy = setting.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        log.warning("Redis may evict jobs: set its maxmemory-policy to noeviction, not %s", policy)
