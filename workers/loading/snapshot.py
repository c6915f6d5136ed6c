"""What Redis says of the models: their workers, orders, requests and times, read at one time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redis import Redis

from workers.cluster.orders import LoadRequest, Order, load_requests_of, orders_of
from workers.cluster.presence import Worker
from workers.contract import keys

#: Read at once, by model.
_HASHES = (keys.ORDERS, keys.LOAD_REQUESTS, keys.USED, keys.LOADED_SINCE, keys.MEASURED)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Redis says of all models at one time."""

    now_ms: int
    #: The `up` that starts what is ordered, by its own name; "" where none runs.
    supervisor: str
    workers: Mapping[str, tuple[Worker, ...]]
    orders: Mapping[str, Order]
    load_requests: Mapping[str, LoadRequest]
    #: Model -> how many steps wait for it, and how many run on it.
    waiting: Mapping[str, int]
    running: Mapping[str, int]
    #: Models of which a worker answered a moment ago, and has not said that it leaves.
    served: frozenset[str]
    used_ms: Mapping[str, int]
    loaded_ms: Mapping[str, int]
    demanded_ms: Mapping[str, int]
    measured: Mapping[str, int]


def read(redis: Redis) -> Snapshot:
    """What Redis says now, in two round trips."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.time()
        pipe.get(keys.SUPERVISOR)
        pipe.smembers(keys.WORKERS)
        pipe.smembers(keys.MODELS)
        for name in _HASHES:
            pipe.hgetall(name)
        pipe.zrange(keys.DEMANDS, 0, -1, withscores=True)
        time_, supervisor, ids, models, orders, requests, *numbers, demands = pipe.execute()
    asked = sorted(model.decode() for model in models)
    with redis.pipeline(transaction=True) as pipe:
        for worker_id in ids:
            pipe.get(keys.worker(worker_id.decode()))
        for model in asked:
            pipe.zcard(keys.waiting(model))
            pipe.scard(keys.running(model))
            pipe.exists(keys.served(model))
        rows = pipe.execute()
    counts = rows[len(ids) :]
    used_ms, loaded_ms, measured = (_numbers(raw) for raw in numbers)
    return Snapshot(
        now_ms=time_[0] * 1000 + time_[1] // 1000,
        supervisor=(supervisor or b"").decode(),
        workers=_by_model(Worker.from_dict(json.loads(raw)) for raw in rows[: len(ids)] if raw),
        orders=orders_of(orders),
        load_requests=load_requests_of(requests),
        waiting=dict(zip(asked, counts[::3], strict=True)),
        running=dict(zip(asked, counts[1::3], strict=True)),
        served=frozenset(
            model for model, served in zip(asked, counts[2::3], strict=True) if served
        ),
        used_ms=used_ms,
        loaded_ms=loaded_ms,
        demanded_ms={model.decode(): int(since) for model, since in demands},
        measured=measured,
    )


def _by_model(workers: Iterable[Worker]) -> dict[str, tuple[Worker, ...]]:
    by_model: dict[str, tuple[Worker, ...]] = {}
    for worker in workers:
        if worker.model is not None:
            by_model[worker.model] = (*by_model.get(worker.model, ()), worker)
    return by_model


def _numbers(raw: Mapping[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in raw.items()}
