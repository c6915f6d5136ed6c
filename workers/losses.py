"""Losses: steps whose workers died, and the workers themselves."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import WorkerLost
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.leases import LEASE_MS
from workers.scripts import script
from workers.token_log import Entry, append

log = logging.getLogger(__name__)

#: After Redis or the keeper was away nobody is judged dead for this long: the living get time
#: to renew what they could not.
MERCY_S = 2 * LEASE_MS / 1000
#: Leases reclaimed in one sweep at most; the rest follows in the next.
BATCH = 64


class Losses:
    """A duty of the keeper: deals with every lease that expired and every worker that died."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reclaim = script(redis, "reclaim")
        self._judge_from = 0.0

    def begin(self) -> None:
        """Judge nobody for a while."""
        self._judge_from = time.monotonic() + MERCY_S

    def sweep(self) -> None:
        """End what lost its worker."""
        if time.monotonic() < self._judge_from:
            return
        arguments: list[str | int] = [keys.job(""), BATCH, LEASE_MS, keys.running("")]
        reclaimed = self._reclaim(keys=[keys.LEASES], args=arguments)
        for at in range(0, len(reclaimed), 4):
            job_id, step, attempt, owner = (part.decode() for part in reclaimed[at : at + 4])
            log.warning("worker %s lost step %s of %s", owner, step, job_id)
            error = WorkerLost(details={"worker": owner, "step": step, "attempt": int(attempt)})
            ending = Entry(job_id, Failed(0, error.to_dict()), ends_as=JobState.FAILED)
            append(self._redis, [ending])
        self._bury()

    def _bury(self) -> None:
        """Forget workers whose presence expired."""
        members: Any = self._redis.smembers(keys.WORKERS)
        ids = [raw.decode() for raw in members]
        if not ids:
            return
        told: Any = self._redis.mget([keys.worker(worker_id) for worker_id in ids])
        for worker_id, presence in zip(ids, told, strict=True):
            if presence is None:
                self._redis.srem(keys.WORKERS, worker_id)
                log.info("keeper: worker %s is gone", worker_id)
