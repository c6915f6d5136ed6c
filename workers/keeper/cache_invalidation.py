"""Cache invalidation: what caches keep goes when it no longer holds, or its room is needed.

No answer depends on it: entries of a model are found by the hash of the files that its worker has
in memory. This frees their room, and what an operator sees in `/v1/caches` is what can be used.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.caches import cache
from workers.cluster.directory import Directory
from workers.contract import keys
from workers.keeper.duties import Duty, Resources, register
from workers.store.redis_memory import FULL, RedisMemory

log = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK_S = 1.0
#: Above this part of Redis' memory caches give theirs back: before jobs are refused for want of it.
MOST_MEMORY = FULL - 0.05
#: Field of `cached_models` that has the preset; no model's id has such a character.
_PRESET = "@preset"


class CacheInvalidation:
    """A duty of the keeper: follows models, the preset and Redis' memory."""

    def __init__(self, redis: Redis, preset: str) -> None:
        """`preset`: the id of the one that runs, "" where none does."""
        self._redis = redis
        self._preset = preset
        self._caches = cache.all_of(redis, 0)
        self._directory = Directory(redis)
        self._memory = RedisMemory(redis)
        self._next_look = 0.0

    def begin(self) -> None:
        """Look at once."""
        self._next_look = 0.0

    def sweep(self) -> None:
        """Drop what no longer holds."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        raw: Any = self._redis.hgetall(keys.CACHED_MODELS)
        known = {name.decode(): value.decode() for name, value in raw.items()}
        self._follow_preset(known.pop(_PRESET, None))
        self._follow_models(known)
        if self._memory.used() > MOST_MEMORY:
            self._give_memory_back()

    def _follow_preset(self, known: str | None) -> None:
        if known == self._preset:
            return
        if known is not None:
            self._clear("another preset runs now")
        self._redis.hset(keys.CACHED_MODELS, _PRESET, self._preset)

    def _follow_models(self, known: dict[str, str]) -> None:
        """Entries are dropped before that is noted: if a keeper dies between, the next does it."""
        loaded: dict[str, set[str]] = {}
        for worker in self._directory.all_serving():
            if worker.model is not None and worker.model_hash is not None:
                loaded.setdefault(worker.model, set()).add(worker.model_hash)
        for model, hash_ in known.items():
            if self._directory.is_ordered_unloaded(model):
                self._drop(model, "it is unloaded")
                self._redis.hdel(keys.CACHED_MODELS, model)
            elif model in loaded and hash_ not in loaded[model]:
                self._drop(model, "its files are others")
        for model, hashes in loaded.items():
            if known.get(model) not in hashes:
                self._redis.hset(keys.CACHED_MODELS, model, min(hashes))

    def _drop(self, model: str, why: str) -> None:
        for name, found in self._caches.items():
            if dropped := found.invalidate_by_model(model):
                log.info("keeper: %s lost %d entries of %s: %s", name, dropped, model, why)

    def _clear(self, why: str) -> None:
        for name, found in self._caches.items():
            if dropped := found.clear():
                log.info("keeper: %s lost %d entries: %s", name, dropped, why)

    def _give_memory_back(self) -> None:
        """Clear the caches; what running jobs hand on stays."""
        for name, found in self._caches.items():
            if found.kind.most_bytes is None and (dropped := found.clear()):
                log.warning("keeper: %s lost %d entries: Redis is nearly full", name, dropped)


@register
def _duty(resources: Resources) -> Duty:
    return CacheInvalidation(resources.redis, resources.settings.config or "")
