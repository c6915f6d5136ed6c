"""Loading by name: asking the keeper for it, and waiting until it is so."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass

from redis import Redis

from orchestration.routing import resolve
from presets.model import ModelSpec
from workers.cluster.directory import Directory
from workers.cluster.orders import Order, Orders, Target, Why
from workers.contract.errors import InferenceError, ModelBusy, NoWorker
from workers.store.connections import redis_time_ms

#: An answer comes at least this long before the callers' own timeout.
MARGIN_S = 2.0
_LOOK_S = 0.1


class State(enum.StrEnum):
    """Where a model is, in the words of the API."""

    LOADED = "loaded"
    LOADING = "loading"
    UNLOADING = "unloading"
    #: It is not loaded and could be.
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of asking."""

    state: State
    message: str


class Loader:
    """Has models loaded and unloaded; every method raises `redis.RedisError` with Redis away."""

    def __init__(self, redis: Redis, timeout_s: float) -> None:
        self._redis = redis
        self._orders = Orders(redis)
        #: What was decided a moment ago counts here.
        self._directory = Directory(redis, ttl_s=0.0)
        self._wait_s = max(0.0, timeout_s - MARGIN_S)

    def load(self, spec: ModelSpec, *, wait: bool) -> LoadResult:
        """Have a model loaded, and wait for it unless `wait` is false.

        Raises:
            NoWorker: no process would load it; the message says how to start one.
            ModelLoadFailed, InsufficientMemory: it cannot be; says why.
            ModelBusy: it was unloaded again meanwhile.
        """
        before = self._orders.of(spec.id)
        if self._directory.serving(spec.id) and not self._requested(spec):
            return LoadResult(State.LOADED, f"{spec.id} is loaded already.")
        self._require_keeper(spec)
        self._request(spec, Target.LOADED)
        began = time.monotonic()
        while wait and time.monotonic() - began < self._wait_s:
            if answer := self._loaded(spec, before, began):
                return answer
            time.sleep(_LOOK_S)
        return LoadResult(
            State.LOADING,
            f"{spec.id} is being loaded; GET /v1/models/{spec.id} says how far it is.",
        )

    def unload(self, spec: ModelSpec, *, wait: bool) -> LoadResult:
        """Have a model unloaded; running answers end first, and are waited for.

        Raises:
            NoWorker: no keeper runs that would decide on it.
            ModelBusy: it was loaded again meanwhile.
        """
        before = self._orders.of(spec.id)
        ordered = before is not None and before.target is Target.LOADED
        coming = ordered and self._directory.can_load(spec.id)
        if not (coming or self._in_memory(spec) or self._requested(spec)):
            return LoadResult(State.AVAILABLE, f"{spec.id} is not loaded.")
        self._require_keeper(spec)
        self._request(spec, Target.UNLOADED)
        began = time.monotonic()
        while wait and time.monotonic() - began < self._wait_s:
            if answer := self._unloaded(spec, before):
                return answer
            time.sleep(_LOOK_S)
        return LoadResult(
            State.UNLOADING, f"{spec.id} takes no requests any longer; running answers end first."
        )

    def _loaded(self, spec: ModelSpec, before: Order | None, began: float) -> LoadResult | None:
        """How a load ended; None while it lasts."""
        order = self._orders.of(spec.id)
        if self._requested(spec):
            return None
        if order is not None and order.target is Target.UNLOADED:
            if before is not None and before.id == order.id:
                return None  # the load request was dealt with a moment before the order was read
            if order.error is not None:
                raise InferenceError.from_dict(order.error)
            raise ModelBusy(
                f"{spec.id} was unloaded again meanwhile, {_REASONS[order.why]}.",
                details={"model": spec.id},
            )
        if error := resolve.load_error(spec.id, self._directory):
            raise error
        if not self._directory.serving(spec.id):
            return None
        return LoadResult(
            State.LOADED, f"{spec.id} is loaded, in {time.monotonic() - began:.1f} s."
        )

    def _unloaded(self, spec: ModelSpec, before: Order | None) -> LoadResult | None:
        """How an unload ended; None while it lasts."""
        order = self._orders.of(spec.id)
        if self._requested(spec) or order is None or (before is not None and before.id == order.id):
            return None
        if order.target is Target.LOADED:
            if order.why is Why.DEMAND:
                return LoadResult(
                    State.LOADING, f"{spec.id} was unloaded and is loaded again: requests wait."
                )
            raise ModelBusy(
                f"{spec.id} was loaded again meanwhile, {_REASONS[order.why]}.",
                details={"model": spec.id},
            )
        if self._in_memory(spec):
            return None
        return LoadResult(State.AVAILABLE, f"{spec.id} is unloaded; its memory is free.")

    def _requested(self, spec: ModelSpec) -> bool:
        return self._orders.requested(spec.id) is not None

    def _request(self, spec: ModelSpec, target: Target) -> None:
        self._orders.request(spec.id, target, redis_time_ms(self._redis))

    def _in_memory(self, spec: ModelSpec) -> bool:
        return any(worker.holds for worker in self._directory.of(spec.id))

    def _require_keeper(self, spec: ModelSpec) -> None:
        if not self._directory.kept:
            raise NoWorker(
                "Nobody decides what is loaded. Start the keeper with: inference-service worker "
                "--orchestration",
                details={"model": spec.id},
            )
        if not self._directory.can_load(spec.id):
            raise NoWorker(
                f"There is no process of {spec.id} and no `inference-service up` that would start "
                f"one. {resolve.how_to_load(spec.id, self._directory)}",
                details={"model": spec.id},
            )


_REASONS = {
    Why.ASKED: "because somebody asked for that",
    Why.DEMAND: "because requests wait for it",
    Why.SWAP: "to make room for another model",
    Why.IDLE: "because nobody used it",
    Why.FAILED: "because it could not be loaded",
}
