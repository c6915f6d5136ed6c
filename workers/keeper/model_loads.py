"""Model loads: the keeper's duty that decides which models are in memory."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from presets.catalogue import Catalogue
from presets.model import ModelSpec
from presets.weights import weight_files
from workers.cluster.orders import LoadRequest, Order, Orders, load_requests_of, orders_of
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract import keys
from workers.contract.errors import InferenceError
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.keeper.duties import Duty, Resources, register
from workers.loading.decision import LoadDecision, Policy, TurnedAway, decide
from workers.loading.model_state import ModelState, Phase, has_failed, phase
from workers.planning import catalogue as catalogue_
from workers.planning import memory_plan
from workers.settings import Settings
from workers.store import rounds
from workers.store.token_log import Entry, append

log = logging.getLogger(__name__)

#: Jobs ended in one call while their model cannot be loaded.
_BATCH = 64
#: Read in one look, by model.
_HASHES = (keys.ORDERS, keys.LOAD_REQUESTS, keys.USED, keys.LOADED_SINCE, keys.MEASURED)
#: Seconds for which what is free is not looked at again.
_MEMORY_TTL_S = 0.5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What Redis held at one look."""

    now_ms: int
    #: Who starts what is ordered, as it names itself; "" where nobody does.
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


@dataclass(frozen=True, slots=True)
class _Look:
    """What was free for one model."""

    #: When, by `time.monotonic`.
    at: float
    #: Who took how much then.
    taken: frozenset[tuple[str, int]]
    free_bytes: int


class ModelLoads:
    """A duty of the keeper: orders loads and unloads, and ends requests that wait for nothing."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._orders = Orders(redis)
        self._catalogue: Catalogue = catalogue_.load(settings)
        self._settings = settings
        limit_mb = settings.memory_limit_mb
        self._limit_bytes = float("inf") if limit_mb is None else float(limit_mb * 2**20)
        self._looks: dict[str, _Look] = {}
        self._policy = Policy(
            on_demand=settings.load_on_demand,
            swap=settings.swap,
            max_wait_ms=settings.swap_max_wait_s * 1000,
            idle_ms=settings.idle_unload_s * 1000,
            grace_s=settings.grace_s,
        )

    def begin(self) -> None:
        """All that counts is in Redis."""

    def sweep(self) -> None:
        """Decide, and see to it."""
        seen = self._look()
        states = [
            self._state(spec, seen)
            for spec in self._catalogue.all()
            if spec.id in seen.workers
            or spec.id in seen.orders
            or spec.id in seen.load_requests
            or seen.waiting.get(spec.id)
        ]
        states = self._noted(states, seen)
        for decision in decide(states, self._limit_bytes, seen.now_ms, self._policy):
            self._carry_out(decision, seen.now_ms)

    def _look(self) -> _Seen:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.get(keys.SUPERVISOR)
            pipe.smembers(keys.WORKERS)
            pipe.smembers(keys.MODELS)
            for name in (
                keys.ORDERS,
                keys.LOAD_REQUESTS,
                keys.USED,
                keys.LOADED_SINCE,
                keys.MEASURED,
            ):
                pipe.hgetall(name)
            pipe.zrange(keys.DEMANDS, 0, -1, withscores=True)
            time_, supervisor, ids, models, orders, requests, *numbers, demands = pipe.execute()
        asked = sorted(model.decode() for model in models)
        with self._redis.pipeline(transaction=True) as pipe:
            for worker_id in ids:
                pipe.get(keys.worker(worker_id.decode()))
            for model in asked:
                pipe.zcard(keys.waiting(model))
                pipe.scard(keys.running(model))
                pipe.exists(keys.served(model))
            rows = pipe.execute()
        counts = rows[len(ids) :]
        used_ms, loaded_ms, measured = (_numbers(raw) for raw in numbers)
        return _Seen(
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

    def _state(self, spec: ModelSpec, seen: _Seen) -> ModelState:
        model = spec.id
        workers = seen.workers.get(model, ())
        order = seen.orders.get(model)
        here = phase(workers, order, supervised=bool(seen.supervisor))
        failed = next((worker for worker in workers if has_failed(worker, order)), None)
        taken = sum(worker.memory_bytes for worker in workers)
        needed = seen.measured.get(model, 0) or memory_plan.needed_bytes(self._settings, spec)
        wanted = model in seen.load_requests or seen.waiting.get(model, 0) > 0
        lacks = here in (Phase.ABSENT, Phase.UNLOADED, Phase.FAILED)
        return ModelState(
            model=model,
            phase=here,
            needed_bytes=taken or needed,
            available_bytes=self._available(spec, seen) if wanted and lacks else 0,
            counted=taken > 0,
            order=order,
            load_request=seen.load_requests.get(model),
            failure=failed.error if failed is not None and here is Phase.FAILED else None,
            present=bool(workers),
            expected=model in seen.served,
            loadable=bool(workers or seen.supervisor),
            missing=None if workers else _missing(spec, seen.supervisor),
            waiting=seen.waiting.get(model, 0),
            running=seen.running.get(model, 0),
            used_ms=seen.used_ms.get(model, 0),
            loaded_ms=seen.loaded_ms.get(model, 0),
            demanded_ms=seen.demanded_ms.get(model, 0),
        )

    def _available(self, spec: ModelSpec, seen: _Seen) -> int:
        """What is free for a model on this machine.

        Devices answer slowly: while no worker comes or goes, it is looked at every half second.
        """
        workers = [worker for of_model in seen.workers.values() for worker in of_model]
        taken = frozenset((worker.id, worker.memory_bytes) for worker in workers)
        before = self._looks.get(spec.id)
        now = time.monotonic()
        if before is None or before.taken != taken or now - before.at >= _MEMORY_TTL_S:
            free = memory_plan.free_bytes(self._settings, spec, workers)
            before = self._looks[spec.id] = _Look(now, taken, free)
        return before.free_bytes

    def _noted(self, states: list[ModelState], seen: _Seen) -> list[ModelState]:
        """The same, with what began just now; the next keeper is to know it too."""
        noted = []
        with self._redis.pipeline(transaction=False) as pipe:
            for state in states:
                changes: dict[str, Any] = {}
                if state.running:
                    pipe.hset(keys.USED, state.model, seen.now_ms)
                    changes["used_ms"] = seen.now_ms
                if state.phase is Phase.LOADED and not state.loaded_ms:
                    pipe.hset(keys.LOADED_SINCE, state.model, seen.now_ms)
                    pipe.hset(keys.MEASURED, state.model, _largest(seen.workers[state.model]))
                    changes["loaded_ms"] = seen.now_ms
                lacks = state.waiting and state.phase not in (Phase.LOADED, Phase.LOADING)
                if lacks and not state.demanded_ms:
                    pipe.zadd(keys.DEMANDS, {state.model: seen.now_ms})
                    changes["demanded_ms"] = seen.now_ms
                elif state.demanded_ms and not lacks:
                    pipe.zrem(keys.DEMANDS, state.model)
                noted.append(replace(state, **changes))
            if len(pipe):
                pipe.execute()
        return noted

    def _carry_out(self, decision: LoadDecision, now_ms: int) -> None:
        order = decision.order(now_ms)
        if order is not None:
            self._orders.give(order, decision.load_request)
            why = f": {decision.error.message}" if decision.error else ""
            log.info(
                "keeper: order: %s is to be %s, %s%s", order.model, order.target, order.why, why
            )
        elif decision.load_request is not None:
            self._orders.settle(decision.load_request)
        if decision.error is not None and decision.turned_away is not TurnedAway.NONE:
            self._turn_away(decision.model, decision.error, decision.turned_away)

    def _turn_away(self, model: str, error: InferenceError, which: TurnedAway) -> None:
        """End what waits for a model: the step, where its job can do without it, else the job."""
        waiting: Any = self._redis.zrange(keys.waiting(model), 0, -1)
        steps = [keys.split_lease_member(member.decode()) for member in waiting]
        if which is TurnedAway.SYNCHRONOUS and steps:
            open_: Any = self._redis.zmscore(keys.SLOTS, [job_id for job_id, _ in steps])
            steps = [step for step, score in zip(steps, open_, strict=True) if score is not None]
        failure = error.to_dict()
        ids = [
            job_id
            for job_id, step in steps
            if not rounds.end_optional_step(self._redis, job_id, step, error)
        ]
        for at in range(0, len(ids), _BATCH):
            append(
                self._redis,
                [
                    Entry(job_id, Failed(0, failure), ends_as=JobState.FAILED)
                    for job_id in ids[at : at + _BATCH]
                ],
            )
        if steps:
            log.info("keeper: %d steps no longer wait for %s", len(steps), model)


def _by_model(workers: Iterable[Worker]) -> dict[str, tuple[Worker, ...]]:
    by_model: dict[str, tuple[Worker, ...]] = {}
    for worker in workers:
        if worker.model is not None:
            by_model[worker.model] = (*by_model.get(worker.model, ()), worker)
    return by_model


def _numbers(raw: Mapping[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in raw.items()}


def _largest(workers: Iterable[Worker]) -> int:
    """What one worker of the model takes."""
    return max(w.memory_bytes for w in workers if w.status is WorkerStatus.LOADED)


def _missing(spec: ModelSpec, supervisor: str) -> str | None:
    """What of a model's files is not there, where its worker would be started on this machine."""
    here = supervisor.startswith(f"{socket.gethostname()}:")
    return weight_files.absence(spec) if here else None


@register
def _duty(resources: Resources) -> Duty:
    return ModelLoads(resources.redis, resources.settings)
