"""The index of jobs: forgets those whose time is over, and holds each API key to its bytes."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.keeper.duties import Duty, Resources, register
from workers.lua.scripts import run
from workers.settings import Settings
from workers.store import stored_bytes
from workers.store.redis_memory import RedisMemory

log = logging.getLogger(__name__)

#: Seconds between two looks at the bytes of keys, and at an owner's list of jobs.
BYTES_LOOK_S, LIST_LOOK_S = 1.0, 10.0
#: Jobs of one list that one look is about, and owners of one sweep.
MOST_JOBS, MOST_OWNERS = 1000, 16


class JobIndex:
    """A duty of the keeper: trims what is kept about jobs, key by key."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._memory = RedisMemory(redis)
        self._next_bytes_look = 0.0
        self._next_list_look = 0.0
        #: Owners whose turn comes in this look, and how far their lists were looked at.
        self._owners: list[str] = []
        self._cursors: dict[str, tuple[int, int]] = {}
        self._knows_owners_of_before = False

    def begin(self) -> None:
        """Look at once."""
        self._next_bytes_look = self._next_list_look = 0.0
        self._owners, self._cursors = [], {}

    def sweep(self) -> None:
        """Look at the bytes of all keys, and at the lists of some."""
        now = time.monotonic()
        if now >= self._next_bytes_look:
            self._next_bytes_look = now + BYTES_LOOK_S
            self._hold_to_shares()
        if now >= self._next_list_look:
            self._next_list_look = now + LIST_LOOK_S
            self._gather_owners()
        for owner in self._owners[:MOST_OWNERS]:
            self._trim(owner)
        del self._owners[:MOST_OWNERS]

    def _hold_to_shares(self) -> None:
        stored = stored_bytes.by_owner(self._redis)
        limit = stored_bytes.limit(self._settings, self._memory) if stored else None
        if limit is None:
            return
        for owner, count in stored.items():
            if count > limit:
                left = stored_bytes.make_room(self._redis, owner, limit)
                if left < count:
                    log.info(
                        "keeper: jobs of key %s took %.1f MB, more than %.1f; its oldest results "
                        "were deleted, %.1f MB are left",
                        *(owner, count / 1e6, limit / 1e6, left / 1e6),
                    )

    def _gather_owners(self) -> None:
        if not self._knows_owners_of_before:
            self._find_owners_of_before()
            self._knows_owners_of_before = True
        members: Any = self._redis.smembers(keys.OWNERS)
        self._owners = sorted(raw.decode() for raw in members)
        self._cursors = {owner: self._cursors.get(owner, (0, 0)) for owner in self._owners}

    def _find_owners_of_before(self) -> None:
        """The version before knows no set of owners: its lists are found by their names, once."""
        prefix = keys.jobs("")
        for raw in self._redis.scan_iter(match=f"{prefix}*", count=1000):
            self._redis.sadd(keys.OWNERS, raw.decode().removeprefix(prefix))

    def _trim(self, owner: str) -> None:
        jobs_cursor, stored_cursor = run(
            self._redis, "trim", owner, *self._cursors[owner], MOST_JOBS
        )
        self._cursors[owner] = int(jobs_cursor), int(stored_cursor)


@register
def _duty(resources: Resources) -> Duty:
    return JobIndex(resources.redis, resources.settings)
