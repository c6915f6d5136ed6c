"""Revoking: what Flower's button and `celery control revoke` do to a job.

Celery's own revoke keeps a message that still waits from being run, and cannot end a running
thread. Here a revoked task is its job cancelled: the engine stops, the slot is free, one terminal
event is written.
"""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from workers import broker
from workers.contract.keys import split_lease_member
from workers.store.jobs import JobStore

log = logging.getLogger(__name__)


def install(jobs: JobStore) -> None:
    """Let this worker's control commands `revoke` and `terminate` cancel jobs."""

    def cancel(task_ids: list[str]) -> None:
        for task_id in task_ids:
            job_id, _step = split_lease_member(task_id)
            try:
                if jobs.cancel(job_id, "its task was revoked"):
                    log.info("revoked: %s", job_id)
            except RedisError as error:
                log.warning("%s cannot be cancelled while Redis is unavailable: %s", job_id, error)

    broker.on_revoke(cancel)
