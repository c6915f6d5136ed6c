"""The watchdog: a worker that no longer works reports it and ends, so that another is started.

Its steps go on elsewhere, as after any crash. A worker that cannot even run this thread stops its
heartbeat, and `up` ends it.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any, NoReturn

from celery import Celery
from redis import Redis
from redis.exceptions import RedisError

from workers import broker
from workers.app import model_queue, priority_lists
from workers.background import BackgroundThread
from workers.cluster.presence import Presence
from workers.contract import keys
from workers.runtime.generation import StepRunner
from workers.store.connections import redis_time_ms

log = logging.getLogger(__name__)

#: Seconds between two checks.
CHECK_S = 0.5
#: The loop that consumes messages ticks this often, in seconds,
TICK_S = 1.0
#: and has stopped when it has not for this long while Redis is there.
STILL_S = 15.0
#: A message that waits for this long while the worker has a free slot is not being consumed.
IGNORED_S = 10.0
#: So many checks in a row must find that before it counts: slots are freed and taken all the time.
CHECKS = 4


class Watchdog(BackgroundThread):
    """A thread that checks whether engine, consumer and queue make progress."""

    def __init__(
        self, redis: Redis, model: str, runner: StepRunner, presence: Presence, wedged_s: float
    ) -> None:
        super().__init__("watchdog")
        self._redis = redis
        self._model = model
        self._runner = runner
        self._presence = presence
        self._wedged_s = wedged_s
        self._ticked_at = time.monotonic()
        self._away_until = time.monotonic()
        self._ignored = 0
        self._draining = False

    def watch(self, app: Celery) -> None:
        """Let the consumer of this application tick."""
        broker.tick(app, TICK_S, self.tick)

    def tick(self) -> None:
        """The consumer's loop has come round."""
        self._ticked_at = time.monotonic()

    def start(self) -> None:
        """Start checking."""
        self.tick()
        self._thread.start()

    def drain(self) -> None:
        """The worker takes no new work and ends its answers: only a dead engine counts now."""
        self._draining = True

    def _run(self) -> None:
        while not self._ending.wait(CHECK_S):
            try:
                if reason := self.problem():
                    self._end(reason)
            except RedisError:
                # Nothing can be consumed; after Redis is back every worker needs a moment.
                self._away_until = time.monotonic()
                self._ignored = 0
            except Exception:
                log.exception("unexpected error in the watchdog")

    def problem(self) -> str | None:
        """Why this worker does not work; None where it does.

        Raises:
            redis.RedisError: Redis is away, which is no fault of the worker's.
        """
        if dead := self._runner.engine.dead:
            return dead
        if self._draining:
            return None
        stalled_s = self._runner.engine.stalled_s
        if stalled_s > self._wedged_s:
            return f"the engine has work and has not moved for {stalled_s:.0f} s"
        ignored = self._is_ignoring()
        still_s = time.monotonic() - max(self._ticked_at, self._away_until)
        if still_s > STILL_S:
            return f"the consumer has stood still for {still_s:.0f} s"
        self._ignored = self._ignored + 1 if ignored else 0
        if self._ignored >= CHECKS:
            return f"messages have waited for more than {IGNORED_S:.0f} s while a slot was free"
        return None

    def _is_ignoring(self) -> bool:
        """Whether a message has waited long though a slot is free for it."""
        runner = self._runner
        head: Any = self._redis.zrange(keys.waiting(self._model), 0, 0, withscores=True)
        busy = len(runner.leases.held()) >= self._presence.worker.concurrency
        if not head or busy or runner.isolation.reserved:
            return False
        since_ms = int(head[0][1]) % keys.RANK_SPAN_MS
        if redis_time_ms(self._redis) - since_ms < IGNORED_S * 1000:
            return False
        lists = priority_lists(model_queue(self._model))
        return any(self._redis.llen(name) for name in lists)

    def _end(self, reason: str) -> NoReturn:
        log.critical("this worker ends: %s", reason)
        self._presence.wedged(reason)
        if os.getpgrp() == os.getpid():  # with all that the engine started
            os.killpg(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
        raise SystemExit  # never reached
