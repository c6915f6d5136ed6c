"""A cache: values in Redis, where all processes find them, and some of them in each process.

What it cannot give is a miss, whatever the reason: nothing is kept, the value is broken, Redis is
away. So nobody who asks a cache needs to know of errors, and what was made without it is the same.
"""

from __future__ import annotations

import enum
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.caches.front import Front
from workers.caches.kind import CacheKind, kinds
from workers.contract import keys
from workers.lua.scripts import run

log = logging.getLogger(__name__)

#: Seconds for which a process answers from its front without asking Redis whether what it keeps
#: was dropped.
FRESH_S = 0.5
#: Seconds for which a Redis that failed is not asked again: one that hangs holds its caller up.
AWAY_S = 1.0
#: A longer value is not kept.
MOST_VALUE_BYTES = 1024 * 1024
#: Entries of one cache in Redis: dropping all of them takes it some 20 ms.
MOST_ENTRIES = 10_000
_SUM_BYTES = 16


class CacheEvent(enum.StrEnum):
    """What a cache counts."""

    HIT = "hit"
    MISS = "miss"
    #: An entry made room for another before its time.
    EVICTION = "eviction"


#: Counts so many events of the cache of this name.
Count = Callable[[str, CacheEvent, int], None]


def uncounted(name: str, event: CacheEvent, times: int) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class CacheSize:
    """What a cache takes in Redis."""

    entries: int
    #: Of keys and values, with what Redis needs to find them, about.
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Recent:
    """What was stored or used lately."""

    #: Member, `{model}|{id}` -> its last use, in milliseconds of Redis TIME.
    members: Mapping[str, int]
    #: Entries of the cache, these and others.
    entries: int
    #: How often something of it was dropped.
    generation: int


class Cache:
    """The entries of one kind, each by its id, and of a model where it depends on one.

    Safe from several threads.
    """

    def __init__(
        self, kind: CacheKind, redis: Redis, *, most_bytes: int = 0, count: Count = uncounted
    ) -> None:
        """`most_bytes` in Redis, where its kind does not say; 0: it keeps nothing."""
        self.kind = kind
        self.most_bytes = most_bytes if kind.most_bytes is None else kind.most_bytes
        self._redis = redis
        self._count = count
        self._keys_begin = kind.keys_begin or f"cached:{kind.name}"
        self._front = Front(kind.front_bytes if self.most_bytes else 0)
        self._lock = threading.Lock()
        #: Redis is not asked again before, by `time.monotonic`: it was away a moment ago.
        self._away_until = float("-inf")
        #: How often something of it had been dropped when Redis was asked last, and when that was.
        self._generation: int | None = None
        self._asked_at = float("-inf")

    def get(self, id_: str, model: str = "") -> bytes | None:
        """The value of an entry; None: a miss."""
        value = self.read(id_, model)
        self.count(CacheEvent.MISS if value is None else CacheEvent.HIT)
        return value

    def read(self, id_: str, model: str = "") -> bytes | None:
        """As `get`, of a lookup that its caller counts."""
        return self._look(id_, model) if self.most_bytes else None

    def count(self, event: CacheEvent, times: int = 1) -> None:
        """Count what became of a lookup."""
        self._count(self.kind.name, event, times)

    def store(
        self, id_: str, value: bytes, model: str = "", *, ttl_s: float | None = None, job: str = ""
    ) -> None:
        """Keep a value for its kind's time, or for `ttl_s` where that is shorter.

        With a `job` only while that has not ended. What is too long, or comes while Redis is away,
        is not kept.
        """
        if not self.most_bytes or len(value) > MOST_VALUE_BYTES:
            return
        ttl_s = self.kind.ttl_s if ttl_s is None else min(ttl_s, self.kind.ttl_s)
        member = _member(model, id_)
        sealed = _checksum(self.kind.name, member, value) + value if self.kind.sealed else value
        try:
            evicted = run(
                self._redis, "cache_store", self.kind.name, self._keys_begin, model, id_, sealed,
                max(1, round(ttl_s * 1000)), self.most_bytes, MOST_ENTRIES, job,
            )  # fmt: skip
        except RedisError as error:
            log.debug("nothing is kept in %s while Redis is unavailable: %s", self.kind.name, error)
            return
        if evicted >= 0:
            self._front.store(member, value, ttl_s)
            self.count(CacheEvent.EVICTION, int(evicted))

    def invalidate_by_model(self, model: str) -> int:
        """Drop what depends on a model, in all processes; returns how many entries.

        Raises:
            redis.RedisError: Redis is away.
        """
        return self._drop("model", model)

    def clear(self) -> int:
        """Drop all of it, in all processes; returns how many entries.

        Raises:
            redis.RedisError: Redis is away.
        """
        return self._drop("all", "")

    def size(self) -> CacheSize:
        """What it takes in Redis now.

        Raises:
            redis.RedisError: Redis is away.
        """
        entries, size_bytes = run(self._redis, "cache_size", self.kind.name, self._keys_begin)
        return CacheSize(int(entries), int(size_bytes))

    def used_since(self, since_ms: int) -> Recent:
        """The entries that were stored or used at this time of Redis or later.

        Raises:
            redis.RedisError: Redis is away.
        """
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.get(keys.cache(self.kind.name, "generation"))
        pipeline.zcard(keys.cache(self.kind.name))
        pipeline.zrange(keys.cache(self.kind.name), since_ms, "+inf", byscore=True, withscores=True)
        generation, entries, used = pipeline.execute()
        members = {member.decode(): int(at_ms) for member, at_ms in used}
        return Recent(members, int(entries), int(generation or 0))

    def beginnings(self, members: Sequence[str], length: int) -> list[bytes]:
        """The first bytes of several values; of one that is gone b"". No checksum is looked at.

        Raises:
            redis.RedisError: Redis is away.
        """
        first = _SUM_BYTES if self.kind.sealed else 0
        pipeline = self._redis.pipeline(transaction=False)
        for member in members:
            pipeline.getrange(self._place(member), first, first + length - 1)
        return [bytes(raw) for raw in pipeline.execute()]

    def gone(self, members: Sequence[str]) -> list[str]:
        """Those of several members whose values are not there.

        Raises:
            redis.RedisError: Redis is away.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for member in members:
            pipeline.exists(self._place(member))
        there = pipeline.execute()
        return [member for member, is_there in zip(members, there, strict=True) if not is_there]

    def _place(self, member: str) -> str:
        """Where a member's value is; as in `cache_entries.lua`."""
        return f"{keys.PREFIX}{self._keys_begin}:{member.removeprefix('|')}"

    def _look(self, id_: str, model: str) -> bytes | None:
        member = _member(model, id_)
        if time.monotonic() - self._asked_at < FRESH_S:
            value = self._front.get(member)
            if value is not None:
                return value
        if time.monotonic() < self._away_until:
            return None
        try:
            found: Any = run(self._redis, "cache_get", self.kind.name, self._keys_begin, model, id_)
        except RedisError as error:
            log.debug("%s cannot be read while Redis is unavailable: %s", self.kind.name, error)
            self._away_until = time.monotonic() + AWAY_S
            return None
        sealed, left_ms, generation = found
        self._follow(int(generation))
        value = None if sealed is None else self._opened(member, bytes(sealed))
        if value is not None:
            self._front.store(member, value, int(left_ms) / 1000)
        return value

    def _follow(self, generation: int) -> None:
        """Forget what others have dropped since the last look."""
        with self._lock:
            if generation != self._generation:
                self._front.clear()
            self._generation = generation
            self._asked_at = time.monotonic()

    def _opened(self, member: str, sealed: bytes) -> bytes | None:
        """A value without its checksum; None where that is another's."""
        if not self.kind.sealed:
            return sealed
        value = sealed[_SUM_BYTES:]
        if sealed[:_SUM_BYTES] == _checksum(self.kind.name, member, value):
            return value
        log.warning("an entry of the cache %s is broken and counts as a miss", self.kind.name)
        return None

    def _drop(self, which: str, model: str) -> int:
        self._front.clear()
        return int(run(self._redis, "cache_drop", self.kind.name, self._keys_begin, which, model))


def all_of(redis: Redis, most_bytes: int, count: Count = uncounted) -> Mapping[str, Cache]:
    """Every cache that is registered, by its name."""
    return {
        name: Cache(kind, redis, most_bytes=most_bytes, count=count)
        for name, kind in kinds().items()
    }


def _member(model: str, id_: str) -> str:
    """An entry in the sets of its cache; no model's id has such a bar."""
    return f"{model}|{id_}"


def _checksum(name: str, member: str, value: bytes) -> bytes:
    """That of a value in its place: one of another entry is as wrong as one that was cut."""
    digest = hashlib.blake2b(f"{name}\n{member}\n".encode(), digest_size=_SUM_BYTES)
    digest.update(value)
    return digest.digest()
