"""The order watcher: lets a worker follow the keeper's orders.

A worker that is to unload ends as if by SIGTERM: it takes no messages any
longer, ends what it runs and closes its engine. Then its process ends where `up` starts it again
when it is wanted; elsewhere it becomes a new process, which waits: every byte of memory is back.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.cluster.orders import Order, Orders, Target
from workers.cluster.presence import Presence, WorkerStatus
from workers.cluster.supervision import is_supervised
from workers.store.connections import redis_time_ms

log = logging.getLogger(__name__)

#: Seconds between two looks at the order.
LOOK_S = 0.25


class OrderWatcher(BackgroundThread):
    """A thread that ends this worker when its order says so."""

    def __init__(
        self,
        redis: Redis,
        model: str,
        presence: Presence,
        end: Callable[[float | None], None],
    ) -> None:
        """`end`: what ends this process; takes what answers get, None: as long as they take."""
        super().__init__("order-watcher")
        self._redis = redis
        self._orders = Orders(redis)
        self._model = model
        self._presence = presence
        self._end = end
        self._told: Order | None = None
        self._announced = False

    @property
    def leaves(self) -> bool:
        """Whether this worker ends because of an order."""
        return self._told is not None

    def grace_s(self, default_s: float) -> float | None:
        """Seconds for running answers at this end; None: as long as they take.

        Asked at each signal: one that comes from elsewhere while an order is followed counts.
        """
        if self._told is not None and not self._announced:
            self._announced = True
            return self._told.grace_s
        return default_s

    def await_load(
        self, told_to_end: threading.Event, *, was_unloaded: bool, forced: bool = False
    ) -> bool:
        """Wait until the model may be loaded: at once, unless an order says that it is not to be.

        False where the process is to end instead. A process that somebody started for the model
        asks for the order it needs, unless it `was_unloaded` by the keeper before; with `forced`
        for one that looks at no memory.
        """
        asked = was_unloaded
        while not told_to_end.is_set():
            try:
                order = self._orders.of(self._model)
                if order is None or order.target is Target.LOADED:
                    self._presence.loading(None if order is None else order.id)
                    return True
                if is_supervised():  # `up` has not seen the order yet
                    return False
                self._presence.unloaded()
                if not asked:
                    log.info("%s was unloaded; the keeper is asked to load it", self._model)
                    now_ms = redis_time_ms(self._redis)
                    self._orders.request(self._model, Target.LOADED, now_ms, forced=forced)
                    asked = True
            except RedisError as error:
                log.debug("no order can be read while Redis is unavailable: %s", error)
                if not was_unloaded:  # it was started for the model, and nobody says otherwise
                    return True
            told_to_end.wait(LOOK_S)
        return False

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                order = self._orders.of(self._model)
            except RedisError:
                continue
            if order is not None and self._is_to_leave(order):
                log.info("the keeper's order: %s, %s", order.target, order.why)
                self._told = order
                self._end(order.grace_s)
                return

    def _is_to_leave(self, order: Order) -> bool:
        """Whether to unload, or to try again in a new process what could not be loaded."""
        if order.target is Target.UNLOADED:
            return True
        worker = self._presence.worker
        return worker.status is WorkerStatus.FAILED and worker.order != order.id


def restart_process() -> NoReturn:
    """Become a new process under the same pid, with the command line of this one."""
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
