"""What names a job on log lines and in traces, for whoever has its id alone.

The whole request may have 10 MB. The record has the job without it, too: what is kept at its end.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis

from workers import logs
from workers.contract import keys
from workers.contract.job import Job

log = logging.getLogger(__name__)


def without_request(redis: Redis, job_id: str) -> Job | None:
    """The job without its texts; None where its record is gone, or of a newer version.

    Raises:
        redis.RedisError: Redis is away.
    """
    raw: Any = redis.hget(keys.job(job_id), "ended_job")
    if raw is None:  # it has ended, and that is what is left of it
        raw = redis.hget(keys.job(job_id), "job")
    if raw is None:
        return None
    try:
        return Job.from_dict(json.loads(raw))
    except ValueError as error:
        log.info("%s is not read: %s", job_id, error)
        return None


@contextmanager
def bound(redis: Redis, job_id: str, **fields: str) -> Iterator[None]:
    """Put the ids of a job, its request and its trace on every line of this thread inside.

    Raises:
        redis.RedisError: Redis is away.
    """
    job = without_request(redis, job_id)
    names = {"job_id": job_id} if job is None else job.log_fields
    with logs.bound(**names, **fields):
        yield
