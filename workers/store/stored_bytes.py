"""What the jobs of one API key take in Redis: counted where it is written, bounded, given free.

Counted are a job's texts: its request until it ends, its steps' and their outcomes, its events.
The scripts that write and delete them count in the same step, so that a count never drifts from
what is there; records that expire are taken off by the keeper (`keeper/job_index.py`).
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from workers.contract import keys
from workers.lua.scripts import run
from workers.settings import Settings
from workers.store.redis_memory import RedisMemory

#: What a job takes beside its texts: the fields of its record, its stream, its places in sets.
#: Measured on Valkey 9.1 with jobs of one step, waiting and ended: 3.8 to 6.1 KB.
JOB_BYTES = 5000
#: Jobs that one call of a script looks at, so that it never holds Redis for long.
LOOKS = 200
_MB = 1_000_000


def limit(settings: Settings, memory: RedisMemory) -> int | None:
    """Bytes that the jobs of one API key may take; None: any number.

    Raises:
        redis.RedisError: Redis is away.
    """
    if settings.max_stored_mb_per_key is not None:
        return settings.max_stored_mb_per_key * _MB
    of_redis = memory.limit()
    return int(settings.max_key_share * of_redis) if of_redis else None


def make_room(redis: Redis, owner: str, limit: int) -> int:
    """Delete a key's oldest results until its jobs take `limit` bytes or fewer.

    Returns how many they take then.

    Raises:
        redis.RedisError: Redis is away.
    """
    left = 0
    while True:
        stored, deleted, passed = run(redis, "make_room", owner, limit, left, LOOKS)
        left += passed
        if stored <= limit or deleted + passed < LOOKS:
            return int(stored)


def by_owner(redis: Redis) -> dict[str, int]:
    """Bytes that the jobs of each API key take.

    Raises:
        redis.RedisError: Redis is away.
    """
    counted: Any = redis.hgetall(keys.STORED)
    return {owner.decode(): int(count) for owner, count in counted.items()}
