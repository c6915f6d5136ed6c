"""The directory: who is there, and what the keeper has ordered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis import Redis

from workers.cluster.orders import Order, Target, orders_of
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract import keys


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Redis held at the last look."""

    workers: tuple[Worker, ...] = ()
    loaded_once: frozenset[str] = frozenset()
    orders: Mapping[str, Order] = field(default_factory=dict)
    supervised: bool = False
    kept: bool = False
    #: Models of which a worker answered a moment ago, and has not said that it leaves.
    served: frozenset[str] = frozenset()


class Directory:
    """Who is there. Answers are at most `ttl_s` old, so that load does not multiply reads.

    Every method raises `redis.RedisError` while Redis is away.
    """

    def __init__(self, redis: Redis, ttl_s: float = 0.25, *, autoscaled: bool = False) -> None:
        """`autoscaled`: something outside starts a worker of whatever model requests wait for."""
        self._redis = redis
        self._ttl_s = ttl_s
        self._autoscaled = autoscaled
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._snapshot = Snapshot()

    def workers(self) -> tuple[Worker, ...]:
        """Every live worker process."""
        return self._look().workers

    def of(self, model: str) -> tuple[Worker, ...]:
        """Live worker processes of a model, whatever they do."""
        return tuple(worker for worker in self.workers() if worker.model == model)

    def serving(self, model: str) -> tuple[Worker, ...]:
        """Live workers that answer for a model, and are not ordered to unload."""
        return tuple(worker for worker in self.all_serving() if worker.model == model)

    def all_serving(self) -> tuple[Worker, ...]:
        """Live workers that answer, for whatever model, and are not ordered to unload."""
        return tuple(
            worker
            for worker in self.workers()
            if worker.status is WorkerStatus.LOADED
            and not (worker.model and self.is_ordered_unloaded(worker.model))
        )

    def is_expected(self, model: str) -> bool:
        """Whether a worker that answered a moment ago has fallen silent, or is started again.

        It is waited for: its machine slept, or its core was busy.
        """
        return model in self._look().served and not self.is_ordered_unloaded(model)

    def is_ordered_unloaded(self, model: str) -> bool:
        """Whether a model is not to be loaded, by order."""
        order = self.order(model)
        return order is not None and order.target is Target.UNLOADED

    def loaded_once(self) -> frozenset[str]:
        """Models that have been loaded at least once since `up` started."""
        return self._look().loaded_once

    def order(self, model: str) -> Order | None:
        """The keeper's order for a model; None where none was given."""
        return self._look().orders.get(model)

    def orders(self) -> Mapping[str, Order]:
        """Every order, by model."""
        return self._look().orders

    def can_load(self, model: str) -> bool:
        """Whether a model would be loaded: a keeper decides, and a process of it is or will be."""
        seen = self._look()
        return seen.kept and (seen.supervised or self._autoscaled or bool(self.of(model)))

    @property
    def supervised(self) -> bool:
        """Whether an `up` runs that starts workers for what is ordered."""
        return self._look().supervised

    @property
    def kept(self) -> bool:
        """Whether there is a keeper."""
        return self._look().kept

    def _look(self) -> Snapshot:
        with self._lock:
            if time.monotonic() - self._read_at < self._ttl_s:
                return self._snapshot
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.smembers(keys.WORKERS)
                pipe.smembers(keys.LOADED_ONCE)
                pipe.hgetall(keys.ORDERS)
                pipe.exists(keys.SUPERVISOR)
                pipe.exists(keys.KEEPER)
                ids, loaded_once, orders, supervised, kept = pipe.execute()
            models = sorted(model.decode() for model in loaded_once)
            names = [keys.worker(i.decode()) for i in sorted(ids)]
            names += [keys.served(model) for model in models]
            values = self._redis.mget(names) if names else []
            presences, served = values[: len(ids)], values[len(ids) :]
            self._snapshot = Snapshot(
                workers=tuple(Worker.from_dict(json.loads(raw)) for raw in presences if raw),
                loaded_once=frozenset(models),
                served=frozenset(
                    model for model, by in zip(models, served, strict=True) if by is not None
                ),
                orders=orders_of(orders),
                supervised=bool(supervised),
                kept=bool(kept),
            )
            self._read_at = time.monotonic()
            return self._snapshot
