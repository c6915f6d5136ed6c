"""The trace of an attempt whose worker was lost: what that could not record itself."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.step import ANSWER, StepRequest
from workers.store import job_names
from workers.tracing import recording
from workers.tracing.attempts import WORKER_LOST, Attempt


def record(redis: Redis, job_id: str, step: str, number: int, owner: str, fate: str) -> None:
    """Record the attempt of this number at a step, which `owner` lost just now.

    Raises:
        redis.RedisError: Redis is away.
    """
    if not recording.is_on():
        return
    job = job_names.without_request(redis, job_id)
    if job is None or job.trace is None:
        return
    fields: Any = redis.hmget(keys.job(job_id), f"{step}:model", f"{step}:part", f"{step}:taken_ms")
    model, part, taken_ms = fields
    if model is None or taken_ms is None:
        return
    request = StepRequest(
        job_id, step, model.decode(), ends_job=False, part=part.decode() if part else ANSWER
    )
    recording.record(
        Attempt(job, job.trace, request, number).span(
            int(taken_ms) * 1_000_000,
            time.time_ns(),
            {"inference.worker": owner, "inference.fate": fate},
            WORKER_LOST,
        )
    )
