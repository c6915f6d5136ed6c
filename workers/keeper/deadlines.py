"""Deadlines: a job that has not ended by its own ends as expired, running or not."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import JobExpired
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.keeper.duties import Duty, Resources, register
from workers.store import job_names
from workers.store.connections import redis_time_ms
from workers.store.token_log import Entry, append

log = logging.getLogger(__name__)

#: Jobs that end in one sweep at most; the rest follows in the next.
BATCH = 64


class Deadlines:
    """A duty of the keeper: ends every job whose deadline is over."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def begin(self) -> None:
        """A deadline holds although Redis or the keeper was away."""

    def sweep(self) -> None:
        """End what is late; workers that decode for it stop within one step."""
        now_ms = redis_time_ms(self._redis)
        late: Any = self._redis.zrangebyscore(keys.DEADLINES, "-inf", now_ms, start=0, num=BATCH)
        for raw in late:
            job_id = raw.decode()
            ending = Entry(job_id, Failed(0, JobExpired().to_dict()), ends_as=JobState.EXPIRED)
            if append(self._redis, [ending]) == [0]:  # its record is gone
                self._redis.zrem(keys.DEADLINES, job_id)
            else:
                with job_names.bound(self._redis, job_id):
                    log.info("keeper: %s is past its deadline", job_id)


@register
def _duty(resources: Resources) -> Duty:
    return Deadlines(resources.redis)
