"""Deletions: what a job's caller deleted goes from the engine's cache too."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys
from workers.engines.base import LoadedModel

log = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK_S = 0.5


class Deletions(BackgroundThread):
    """A thread that lets the engine forget the jobs that were deleted.

    It reads a list and hears no messages: what was deleted while Redis was away from this worker is
    found afterwards.
    """

    def __init__(self, redis: Redis, engine: LoadedModel) -> None:
        super().__init__("deletions")
        self._redis = redis
        self._engine = engine
        #: The latest that was seen, by its time and its job.
        self._seen_ms = 0
        self._seen: set[str] = set()

    def look(self) -> None:
        """Forget what was deleted since the last look.

        Raises:
            redis.RedisError: Redis is away.
        """
        raw: Any = self._redis.zrange(
            keys.DELETED, self._seen_ms, "+inf", byscore=True, withscores=True
        )
        deleted = [(member.decode(), int(at_ms)) for member, at_ms in raw]
        for job, _ in deleted:
            if job not in self._seen:
                self._engine.forget_job(job)
        if deleted:
            self._seen_ms = deleted[-1][1]
            self._seen = {job for job, at_ms in deleted if at_ms == self._seen_ms}

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.look()
            except RedisError:
                pass  # the list is still there when Redis is
            except Exception:
                log.exception("unexpected error while deletions are followed")
            self._ending.wait(LOOK_S)
