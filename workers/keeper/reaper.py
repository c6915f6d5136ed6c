"""The reaper: takes the leases of dead workers, and forgets the workers."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.keeper import loss_trace
from workers.keeper.duties import Duty, RecoveryGrace, Resources, register
from workers.lua.scripts import run
from workers.metrics import instruments
from workers.metrics.process_metrics import ProcessMetrics
from workers.store import dead_letters, job_names, rounds
from workers.store.leases import LEASE_MS

log = logging.getLogger(__name__)

#: Leases reclaimed in one sweep at most; the rest follows in the next.
BATCH = 64
#: A lease that a living worker has not renewed for this long was forgotten by it: the answer to its
#: taking was lost with a connection, or the step holds the worker up. Either counts against it.
FORGOTTEN_MS = 2000
#: A request that killed or held up its worker so often, running alone, is a dead letter.
MOST_CRASHES = 3


class Reaper:
    """A duty of the keeper: lets run again what lost its worker, and forgets the worker."""

    def __init__(self, redis: Redis, metrics: ProcessMetrics | None = None) -> None:
        self._redis = redis
        self._metrics = metrics or ProcessMetrics()
        self._grace = RecoveryGrace()

    def begin(self) -> None:
        """Judge no worker for a while."""
        self._grace.begin()

    def sweep(self) -> None:
        """Deal with every lease that expired and every worker that died."""
        if self._grace.lasts():
            return
        reclaimed = run(self._redis, "reclaim", BATCH, LEASE_MS, FORGOTTEN_MS, MOST_CRASHES)
        for at in range(0, len(reclaimed), 5):
            job_id, step, attempt, owner, fate = (part.decode() for part in reclaimed[at : at + 5])
            with job_names.bound(self._redis, job_id):
                lost = f"lost step {step} of {job_id} in attempt {attempt}"
                log.warning("worker %s %s: %s", owner, lost, fate)
            loss_trace.record(self._redis, job_id, step, int(attempt), owner, fate)
            if fate == "poisoned":
                self._set_aside(job_id, step, owner)
            else:
                self._metrics.count(instruments.LOST_STEPS, fate)
        self._forget_workers()

    def _set_aside(self, job_id: str, step: str, owner: str) -> None:
        """End what kills its workers: the step, where its job can do without it, else the job."""
        error = dead_letters.poisoned(step, owner, MOST_CRASHES)
        if rounds.end_optional_step(self._redis, job_id, step, error):
            return
        if dead_letters.add(self._redis, job_id, error):
            self._metrics.count(instruments.DEAD_LETTERS)

    def _forget_workers(self) -> None:
        """Forget workers whose presence expired."""
        members: Any = self._redis.smembers(keys.WORKERS)
        ids = [raw.decode() for raw in members]
        if not ids:
            return
        presences: Any = self._redis.mget([keys.worker(worker_id) for worker_id in ids])
        for worker_id, presence in zip(ids, presences, strict=True):
            if presence is None:
                self._redis.srem(keys.WORKERS, worker_id)
                log.info("keeper: worker %s has died", worker_id)


@register
def _duty(resources: Resources) -> Duty:
    return Reaper(resources.redis, resources.metrics)
