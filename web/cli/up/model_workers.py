"""The model workers of `up`: those it is set to run, and those the keeper orders."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

from redis import Redis
from redis.exceptions import RedisError

from web.cli.up.supervisor import Child, Supervisor
from workers.cluster.directory import Directory
from workers.cluster.orders import Orders, Target
from workers.settings import Settings

#: Seconds between two looks at the orders.
LOOK_S = 0.5
#: A worker needs this much longer than the grace it gives its answers.
_AFTER_GRACE_S = 5.0


class ModelWorkers:
    """Starts a worker for each model that is wanted and has none.

    A worker whose model is not wanted any longer sees that itself, and ends.
    """

    def __init__(
        self, redis: Redis, settings: Settings, supervisor: Supervisor, say: Callable[[str], None]
    ) -> None:
        self._orders = Orders(redis)
        self._directory = Directory(redis, ttl_s=0.0)
        self._settings = settings
        self._supervisor = supervisor
        self._say = say
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._children: dict[str, Child] = {}
        self._next_look = 0.0

    def begin(self, wanted: Iterable[str], *, force: bool) -> None:
        """Start a worker for each of these; with `force` even those that do not fit the memory.

        Orders of before are forgotten, unless another `up` obeys them.

        Raises:
            redis.RedisError: Redis is away.
        """
        if self._settings.redis_url is None:  # nobody shares the embedded server
            self._orders.clear_supervisor()
        if self._orders.supervise(self._name):
            self._orders.forget()
        for model in wanted:
            self._start(model, *(["--force"] if force else []), essential=True)

    def look(self) -> None:
        """Start what is ordered, now and then; while Redis is away nothing is."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_S
        try:
            chosen = self._orders.supervise(self._name)
            orders = self._orders.all()
            present = {worker.model for worker in self._directory.workers()}
        except RedisError:
            return
        for model, child in self._children.items():
            order = orders.get(model)
            if child.resting and (order is None or order.target is Target.LOADED):
                self._say(f"starting {child.name}")
                child.start()
        for model, order in orders.items():
            wanted = order.target is Target.LOADED and model not in self._children
            if chosen and wanted and model not in present:
                self._say(f"starting worker-{model}: {order.why}")
                self._start(model, essential=False)

    def end(self) -> None:
        """Nothing that is ordered will be started any longer."""
        try:
            self._orders.leave(self._name)
        except RedisError:  # it lapses by itself
            return

    def _start(self, model: str, *options: str, essential: bool) -> None:
        name = f"worker-{model}"
        self._children[model] = self._supervisor.start(
            Child(
                name,
                ("worker", *options, model),
                self._settings.data_dir / "logs" / f"{name}.log",
                log_bytes=self._settings.log_max_mb * 2**20,
                grace_s=self._settings.grace_s + _AFTER_GRACE_S,
                rests=True,
                from_standby=True,
                essential=essential,
            )
        )
