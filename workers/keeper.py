"""The keeper owns time: what must happen when nobody is there to do it.

It runs in the orchestration worker; where several run, a lock in Redis elects one. What there is
to do are its duties, each in its own module.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from redis import Redis
from redis.exceptions import LockError, RedisError

from workers.contract import keys

log = logging.getLogger(__name__)

SWEEP_S = 0.25


class Duty(Protocol):
    """Something to do again and again; raises `redis.RedisError` while Redis is away."""

    def begin(self) -> None:
        """The keeper was elected just now, or Redis came back: nothing is known of before."""

    def sweep(self) -> None:
        """Do what is due."""


class Keeper:
    """A thread that does its duties, while it holds the keeper's lock."""

    def __init__(self, redis: Redis, duties: Sequence[Duty]) -> None:
        self._duties = duties
        self._lock = redis.lock(keys.KEEPER, timeout=keys.KEEPER_TTL_S, thread_local=False)
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
                    for duty in self._duties:
                        duty.begin()
                self._lock.extend(keys.KEEPER_TTL_S, replace_ttl=True)
                for duty in self._duties:
                    self._do(duty)
            except LockError:
                log.warning("keeper: the lock fell to another process")
                elected = False
            except RedisError as error:
                log.warning("keeper: Redis is away: %s", error)
                elected = False
        if elected:
            self._leave()

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
            log.info("keeper: the lock expires by itself: %s", error)
