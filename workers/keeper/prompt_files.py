"""Prompt files: what deleted jobs left on this machine's disk goes, also where no worker of its
model lives; and what nobody used for long.

Workers do the same for their own models. A machine without a keeper has them alone: what it keeps
of a job that was deleted meanwhile goes when one of its models is loaded, before it is used.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.engines.prompt_store.prompt_directory import PromptDirectory
from workers.keeper.duties import Duty, Resources, register

log = logging.getLogger(__name__)

#: Seconds between two looks at the jobs that were deleted, and at the directory.
LOOK_S, CLEAN_S = 0.5, 600.0


class PromptFiles:
    """A duty of the keeper: follows deletions."""

    def __init__(self, redis: Redis, directory: PromptDirectory) -> None:
        self._redis = redis
        self._directory = directory
        self._next_look = self._next_cleaning = 0.0
        #: The latest that was seen, by its time and its job.
        self._seen_ms = 0
        self._seen: set[str] = set()

    def begin(self) -> None:
        """Look at all that were deleted."""
        self._next_look = self._next_cleaning = 0.0
        self._seen_ms, self._seen = 0, set()

    def sweep(self) -> None:
        """Remove what is not to be kept."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        raw: Any = self._redis.zrange(
            keys.DELETED, self._seen_ms, "+inf", byscore=True, withscores=True
        )
        deleted = {member.decode(): int(at_ms) for member, at_ms in raw}
        try:
            if not deleted.keys() <= self._seen:
                self._directory.forget(deleted)
            if now >= self._next_cleaning:
                self._next_cleaning = now + CLEAN_S
                self._directory.drop_unused()
        except OSError as error:
            log.warning("keeper: prompts on disk cannot be removed: %s", error)
            self._next_look = now + CLEAN_S
            return
        self._seen_ms = max(deleted.values(), default=self._seen_ms)
        self._seen = {job for job, at_ms in deleted.items() if at_ms == self._seen_ms}


@register
def _duty(resources: Resources) -> Duty:
    """Also where nothing is written any more: what there is goes with its time."""
    return PromptFiles(
        resources.redis, PromptDirectory(resources.settings.data_dir / "cache" / "prompts")
    )
