"""The job's record in Redis: the authority on what was asked and how far it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.contract import events, keys
from workers.contract.events import Cancelled, Queued
from workers.contract.job import Job, JobState, Outcome, StepRequest
from workers.scripts import script
from workers.token_log import Entry, append


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step and the Celery signature that runs it, as the keeper would send it again."""

    request: StepRequest
    signature: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its record tells of it."""

    job: Job
    state: JobState
    #: Unix time in milliseconds, by Redis.
    created_ms: int
    ended_ms: int | None
    #: Outcomes of the steps that ended, by step.
    outcomes: Mapping[str, Outcome]


class JobStore:
    """Stores jobs, reads them, ends them; raises `redis.RedisError` while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._store = script(redis, "store")

    def store(self, job: Job, steps: Sequence[PlannedStep], rank: int) -> None:
        """Store an accepted job with its first steps; they count as waiting from now.

        `rank` is the queue priority of its messages: 0 runs first, 9 last.
        """
        arguments: list[Any] = [
            keys.live(job.id),
            events.encode(Queued(seq=0)),
            keys.ACCEPTED_TTL_S,
            job.id,
            _dump(job.to_dict()),
            rank,
        ]
        for step in steps:
            arguments += [step.request.step, step.request.model, _dump(step.signature)]
        waiting = [keys.waiting(step.request.model) for step in steps]
        self._store(keys=[keys.job(job.id), keys.events(job.id), *waiting], args=arguments)

    def record(self, job_id: str) -> JobRecord | None:
        """The job's record; None when there is none, or no longer."""
        raw: Any = self._redis.hgetall(keys.job(job_id))
        fields: dict[str, bytes] = {name.decode(): value for name, value in raw.items()}
        if not fields:
            return None
        return JobRecord(
            job=Job.from_dict(json.loads(fields["job"])),
            state=JobState(fields["state"].decode()),
            created_ms=int(fields["created_ms"]),
            ended_ms=int(fields["ended_ms"]) if "ended_ms" in fields else None,
            outcomes={
                name.removesuffix(":outcome"): Outcome.from_dict(json.loads(value))
                for name, value in fields.items()
                if name.endswith(":outcome")
            },
        )

    def position(self, job_id: str) -> int | None:
        """Place of the job's first waiting step in its model's queue, 1 the next; None: no wait."""
        steps: Any = self._redis.hget(keys.job(job_id), "steps")
        for step in (steps or b"").decode().split():
            model: Any = self._redis.hget(keys.job(job_id), f"{step}:model")
            if model is None:
                return None
            waiting = keys.waiting(model.decode())
            rank: Any = self._redis.zrank(waiting, keys.lease_member(job_id, step))
            if rank is not None:
                return int(rank) + 1
        return None

    def cancel(self, job_id: str, reason: str) -> bool:
        """End the job now; workers that decode for it stop within one step.

        Returns False when it had ended already, or there is no such job.
        """
        ending = Entry(job_id, Cancelled(seq=0, reason=reason), ends_as=JobState.CANCELLED)
        return append(self._redis, [ending]) != [0]


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
