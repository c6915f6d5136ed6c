"""Dead letters: jobs that killed their workers again and again, set aside for a person to see."""

from __future__ import annotations

from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import JobPoisoned
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.lua.scripts import run
from workers.store.connections import redis_time_ms
from workers.store.token_log import Entry, append

#: Dead letters listed at most, the latest first.
MOST_LISTED = 100


def poisoned(step: str, worker: str, crashes: int) -> JobPoisoned:
    """What is said of a request that killed its worker so often."""
    return JobPoisoned(
        f"The request killed its worker {crashes} times while it ran alone, and is set aside.",
        details={"crashes": crashes, "step": step, "worker": worker},
    )


def add(redis: Redis, job_id: str, error: JobPoisoned) -> bool:
    """End a job as a dead letter; returns whether it was none before."""
    redis.hset(keys.job(job_id), "keep_s", keys.ACCEPTED_TTL_S)
    is_new = redis.zadd(keys.DEAD, {job_id: redis_time_ms(redis)}, nx=True)
    append(redis, [Entry(job_id, Failed(0, error.to_dict()), ends_as=JobState.FAILED)])
    return bool(is_new)


def listed(redis: Redis) -> list[str]:
    """Ids of the dead letters that are kept, the latest first."""
    oldest_ms = redis_time_ms(redis) - keys.ACCEPTED_TTL_S * 1000
    redis.zremrangebyscore(keys.DEAD, "-inf", oldest_ms)  # their records are gone
    ids: Any = redis.zrevrange(keys.DEAD, 0, MOST_LISTED - 1)
    return [raw.decode() for raw in ids]


def drop(redis: Redis, job_id: str) -> None:
    """Count a job as a dead letter no longer; what its caller sent is not kept any longer."""
    run(redis, "drop_dead", job_id)
