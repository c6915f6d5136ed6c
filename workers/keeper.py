"""The keeper owns time: what must happen when nobody is there to do it.

It runs in the orchestration worker; where several run, a lock in Redis elects one. Now it sweeps
expired leases and forgets dead workers.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from redis import Redis
from redis.exceptions import LockError, RedisError

from workers.contract import keys
from workers.contract.errors import WorkerLost
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.leases import LEASE_MS
from workers.scripts import script
from workers.token_log import Entry, append

log = logging.getLogger(__name__)

SWEEP_S = 0.25
#: After Redis or the keeper was away nobody is judged dead for this long: the living get time
#: to renew what they could not.
MERCY_S = 2 * LEASE_MS / 1000
#: Leases reclaimed in one sweep at most; the rest follows in the next.
BATCH = 64


class Keeper:
    """A thread that sweeps, while it holds the keeper's lock."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reclaim = script(redis, "reclaim")
        self._lock = redis.lock(keys.KEEPER, timeout=keys.KEEPER_TTL_S, thread_local=False)
        self._judge_from = float("inf")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Start the keeper's thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and let another keeper be elected at once."""
        self._ending.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        elected = False
        while not self._ending.wait(SWEEP_S):
            try:
                if not elected:
                    elected = bool(self._lock.acquire(blocking=False))
                    if not elected:
                        continue
                    log.info("keeper: elected")
                    self._judge_from = time.monotonic() + MERCY_S
                self._lock.extend(keys.KEEPER_TTL_S, replace_ttl=True)
                if time.monotonic() >= self._judge_from:
                    self.sweep()
            except LockError:
                log.warning("keeper: the lock fell to another process")
                elected = False
            except RedisError as error:
                log.warning("keeper: Redis is away: %s", error)
                elected = False
        if elected:
            self._leave()

    def _leave(self) -> None:
        try:
            self._lock.release()
        except (LockError, RedisError) as error:
            log.info("keeper: the lock expires by itself: %s", error)

    def sweep(self) -> None:
        """Deal with every lease that expired and every worker that died."""
        reclaimed = self._reclaim(keys=[keys.LEASES], args=[keys.job(""), BATCH, LEASE_MS])
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
