"""The keeper owns time: what must happen though the process that would do it died.

It runs in the orchestration worker; where several run, a lock in Redis elects one. What there is
to do are its duties (`duties.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import LockError, RedisError

from workers.background import BackgroundThread
from workers.contract import keys
from workers.keeper.duties import Duty
from workers.store.connections import redis_time_ms

log = logging.getLogger(__name__)

SWEEP_S = 0.25
#: A sweep that comes later than this, by our clock or by Redis', comes after a gap.
GAP_MS = 1500


class Keeper(BackgroundThread):
    """A thread that does its duties, while it holds the keeper's lock."""

    def __init__(self, redis: Redis, duties: Sequence[Duty]) -> None:
        super().__init__("keeper", ends_within_s=2.0)
        self._redis = redis
        self._duties = duties
        #: Our monotonic time and Redis TIME at the last sweep, in ms.
        self._seen: tuple[float, int] | None = None
        self._lock = redis.lock(keys.KEEPER, timeout=keys.KEEPER_TTL_S, thread_local=False)

    def _run(self) -> None:
        elected = False
        while not self._ending.wait(SWEEP_S):
            try:
                if not elected:
                    elected = bool(self._lock.acquire(blocking=False))
                    if not elected:
                        continue
                    log.info("keeper: elected")
                    self._begin()
                self._lock.extend(keys.KEEPER_TTL_S, replace_ttl=True)
                self._check_clock()
                for duty in self._duties:
                    self._do(duty)
            except LockError:
                log.warning("keeper: another process has the lock")
                elected = False
            except RedisError as error:
                log.warning("keeper: Redis is unavailable: %s", error)
                elected = False
        if elected:
            self._leave()

    def _begin(self) -> None:
        self._seen = None
        for duty in self._duties:
            duty.begin()

    def _check_clock(self) -> None:
        """Begin anew when time has jumped: the machine slept, or the clock was set.

        Leases expire by Redis' clock; the workers that renew them were asleep as well.
        """
        now = time.monotonic() * 1000, redis_time_ms(self._redis)
        before, self._seen = self._seen, now
        if before is None:
            return
        here_ms, there_ms = now[0] - before[0], now[1] - before[1]
        if here_ms > GAP_MS or abs(there_ms - here_ms) > GAP_MS:
            log.warning("keeper: the clock jumped by %.1f s; leases get more time", there_ms / 1000)
            self._begin()

    def _do(self, duty: Duty) -> None:
        try:
            duty.sweep()
        except RedisError:
            raise
        except Exception:  # the other duties are not to stand still because of one
            log.exception("keeper: %s failed", type(duty).__name__)

    def _leave(self) -> None:
        try:
            self._lock.release()
        except (LockError, RedisError) as error:
            log.info("keeper: the lock expires on its own: %s", error)
