"""Model loads: the keeper's duty that decides which models are in memory."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from presets.catalogue import Catalogue
from presets.model import ModelSpec
from presets.weights import weight_files
from workers.cluster.orders import Orders
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract import keys
from workers.contract.errors import InferenceError
from workers.contract.events import Failed
from workers.contract.job import JobState
from workers.keeper.duties import Duty, Resources, register
from workers.loading.decision import LoadDecision, Policy, TurnedAway, decide
from workers.loading.model_state import ModelState, Phase, has_failed, phase
from workers.loading.snapshot import Snapshot
from workers.loading.snapshot import read as read_snapshot
from workers.planning import catalogue as catalogue_
from workers.planning import memory_plan
from workers.settings import Settings
from workers.store import rounds
from workers.store.token_log import Entry, append

log = logging.getLogger(__name__)

#: Jobs ended in one call while their model cannot be loaded.
_BATCH = 64
#: Seconds for which what is free is not looked at again.
_MEMORY_TTL_S = 0.5


@dataclass(frozen=True, slots=True)
class _FreeMemory:
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
        self._free: dict[str, _FreeMemory] = {}
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
        """Decide, and carry it out."""
        snapshot = read_snapshot(self._redis)
        states = [
            self._state(spec, snapshot)
            for spec in self._catalogue.all()
            if spec.id in snapshot.workers
            or spec.id in snapshot.orders
            or spec.id in snapshot.load_requests
            or snapshot.waiting.get(spec.id)
        ]
        states = self._noted(states, snapshot)
        for decision in decide(states, self._limit_bytes, snapshot.now_ms, self._policy):
            self._carry_out(decision, snapshot.now_ms)

    def _state(self, spec: ModelSpec, snapshot: Snapshot) -> ModelState:
        model = spec.id
        workers = snapshot.workers.get(model, ())
        order = snapshot.orders.get(model)
        here = phase(workers, order, supervised=bool(snapshot.supervisor))
        failed = next((worker for worker in workers if has_failed(worker, order)), None)
        taken = sum(worker.memory_bytes for worker in workers)
        needed = snapshot.measured.get(model, 0) or memory_plan.needed_bytes(self._settings, spec)
        wanted = model in snapshot.load_requests or snapshot.waiting.get(model, 0) > 0
        lacks = here in (Phase.ABSENT, Phase.UNLOADED, Phase.FAILED)
        return ModelState(
            model=model,
            phase=here,
            needed_bytes=taken or needed,
            available_bytes=self._available(spec, snapshot) if wanted and lacks else 0,
            counted=taken > 0,
            order=order,
            load_request=snapshot.load_requests.get(model),
            failure=failed.error if failed is not None and here is Phase.FAILED else None,
            present=bool(workers),
            expected=model in snapshot.served,
            loadable=bool(workers or snapshot.supervisor),
            missing=None if workers else _missing(spec, snapshot.supervisor),
            waiting=snapshot.waiting.get(model, 0),
            running=snapshot.running.get(model, 0),
            used_ms=snapshot.used_ms.get(model, 0),
            loaded_ms=snapshot.loaded_ms.get(model, 0),
            demanded_ms=snapshot.demanded_ms.get(model, 0),
        )

    def _available(self, spec: ModelSpec, snapshot: Snapshot) -> int:
        """What is free for a model on this machine.

        Devices answer slowly: while no worker comes or goes, it is looked at every half second.
        """
        workers = [worker for of_model in snapshot.workers.values() for worker in of_model]
        taken = frozenset((worker.id, worker.memory_bytes) for worker in workers)
        before = self._free.get(spec.id)
        now = time.monotonic()
        if before is None or before.taken != taken or now - before.at >= _MEMORY_TTL_S:
            free = memory_plan.free_bytes(self._settings, spec, workers)
            before = self._free[spec.id] = _FreeMemory(now, taken, free)
        return before.free_bytes

    def _noted(self, states: list[ModelState], snapshot: Snapshot) -> list[ModelState]:
        """The same, with what began just now; the next keeper is to know it too."""
        noted = []
        with self._redis.pipeline(transaction=False) as pipe:
            for state in states:
                changes: dict[str, Any] = {}
                if state.running:
                    pipe.hset(keys.USED, state.model, snapshot.now_ms)
                    changes["used_ms"] = snapshot.now_ms
                if state.phase is Phase.LOADED and not state.loaded_ms:
                    pipe.hset(keys.LOADED_SINCE, state.model, snapshot.now_ms)
                    pipe.hset(keys.MEASURED, state.model, _largest(snapshot.workers[state.model]))
                    changes["loaded_ms"] = snapshot.now_ms
                lacks = state.waiting and state.phase not in (Phase.LOADED, Phase.LOADING)
                if lacks and not state.demanded_ms:
                    pipe.zadd(keys.DEMANDS, {state.model: snapshot.now_ms})
                    changes["demanded_ms"] = snapshot.now_ms
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
