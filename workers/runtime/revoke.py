"""Revoking: what Flower's button and `celery control revoke` do to a job.

Celery's own revoke keeps a message that still waits from being run, and cannot end a running
thread. Here a revoked task is its job cancelled: the engine stops, the slot is free, one terminal
event is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery.worker.control import Panel, ok
from redis.exceptions import RedisError

from workers.contract.keys import split_lease_member
from workers.store.jobs import JobStore

log = logging.getLogger(__name__)


def install(jobs: JobStore) -> None:
    """Let this worker's control commands `revoke` and `terminate` cancel jobs."""

    def cancel(_state: Any, task_id: str | Iterable[str], **_: Any) -> dict[str, str]:
        ids = [task_id] if isinstance(task_id, str) else list(task_id)
        for id_ in ids:
            job_id, _step = split_lease_member(id_)
            try:
                if jobs.cancel(job_id, "its task was revoked"):
                    log.info("revoked: %s", job_id)
            except RedisError as error:
                log.warning("%s cannot be cancelled while Redis is away: %s", job_id, error)
        return dict(ok(f"jobs of {len(ids)} tasks cancelled"))

    # The registry's own decorator would take the name from the function.
    Panel.data["revoke"] = cancel
    Panel.data["terminate"] = lambda state, signal, task_id, **_: cancel(state, task_id)
