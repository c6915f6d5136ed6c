"""Presence: what each worker process says of itself, and who is there."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys
from workers.contract.engine_use import EngineUse
from workers.contract.errors import EngineFailed, InferenceError
from workers.contract.fields import known_fields
from workers.lua.scripts import run

log = logging.getLogger(__name__)

#: A third of a worker's time to live passes between two beats at most.
BEAT_S = 0.5


class WorkerStatus(enum.StrEnum):
    """Where a worker's model is."""

    #: Its engine is reading the model.
    LOADING = "loading"
    #: It answers.
    LOADED = "loaded"
    #: It has stopped working; `error` says how. It ends.
    WEDGED = "wedged"
    #: It ends the answers it is in the middle of and takes no others.
    UNLOADING = "unloading"
    #: The model could not be loaded; `error` says why.
    FAILED = "failed"
    #: The process waits for an order to load its model.
    UNLOADED = "unloaded"


#: No request waits for a worker that says so.
_LEAVING = (WorkerStatus.UNLOADING, WorkerStatus.FAILED, WorkerStatus.UNLOADED)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process."""

    id: str
    #: The model it serves; None for the orchestration worker.
    model: str | None
    pid: int
    host: str
    #: Requests it answers at once.
    concurrency: int
    status: WorkerStatus = WorkerStatus.LOADING
    #: How much of the model is read, 0 to 1.
    progress: float = 0.0
    #: `InferenceError.to_dict()` where loading failed.
    error: Mapping[str, Any] | None = None
    #: Bytes the model takes: as planned while it loads, as measured from then on.
    memory_bytes: int = 0
    #: The devices it was placed on; empty: the RAM.
    devices: tuple[int, ...] = ()
    #: Tokens one request may use; 0 while the model is not loaded.
    context_length: int = 0
    #: Format of the weights it runs, e.g. `q8_0`; None where that says nothing.
    format: str | None = None
    #: Whether it has given any text since it was started.
    answered: bool = False
    #: The order under which it loads; None where it was started for its model.
    order: str | None = None
    #: Hash of the model that it has in memory; None while that is not known.
    model_hash: str | None = None
    #: Names of the calls that it takes beside jobs (`workers.store.model_calls`).
    calls: tuple[str, ...] = ()
    #: What its engine uses; None while it has none.
    use: EngineUse | None = None

    @property
    def holds(self) -> bool:
        """Whether its process has the model, or parts of it, in memory."""
        return self.status not in (WorkerStatus.FAILED, WorkerStatus.UNLOADED)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Worker:
        """Rebuild a worker; fields of a newer version are ignored."""
        fields = known_fields(cls, data)
        fields["devices"] = tuple(data.get("devices", ()))
        fields["calls"] = tuple(data.get("calls", ()))
        if use := data.get("use"):
            fields["use"] = EngineUse.from_dict(use)
        return cls(**{**fields, "status": WorkerStatus(data["status"])})


class Presence(BackgroundThread):
    """Writes to Redis every half second that this worker lives and what it does."""

    def __init__(self, redis: Redis, worker: Worker) -> None:
        super().__init__("presence")
        self._redis = redis
        self._worker = worker
        self._news = threading.Event()
        self._use: Callable[[], EngineUse] | None = None

    @property
    def worker(self) -> Worker:
        """What it says at present."""
        return self._worker

    def stop(self) -> None:
        """Leave: no request waits for this worker any longer."""
        served = [keys.served(self._worker.model)] if self._worker.model else []
        self._end(lambda: self._redis.delete(keys.worker(self._worker.id), *served))

    def sleep(self) -> None:
        """The model is unloaded; the process is back as a new one in a moment."""
        self._worker = replace(
            self._worker,
            status=WorkerStatus.UNLOADED,
            progress=0.0,
            memory_bytes=0,
            error=None,
            model_hash=None,
            calls=(),
        )
        self._end(lambda: self._beat(keys.REBIRTH_TTL_MS))

    def was_present(self) -> bool:
        """Whether this process was present before it became a new one.

        Raises:
            redis.RedisError: Redis is away.
        """
        return bool(self._redis.exists(keys.worker(self._worker.id)))

    def unloaded(self) -> None:
        """The process waits for an order to load its model."""
        if self._worker.status is not WorkerStatus.UNLOADED:
            self._change(status=WorkerStatus.UNLOADED)

    def loading(self, order: str | None) -> None:
        """The model is read from now on, because of this order."""
        self._change(status=WorkerStatus.LOADING, order=order)

    def progress(self, fraction: float) -> None:
        """Loading is this far, from 0 to 1."""
        self._worker = replace(self._worker, progress=round(fraction, 2))

    def placed(self, memory_bytes: int, devices: tuple[int, ...]) -> None:
        """The model is to take this much; others plan around it from now on."""
        self._change(memory_bytes=memory_bytes, devices=devices)

    def loaded(self, memory_bytes: int, context_length: int, form: str | None = None) -> None:
        """The model answers from now on."""
        self._change(
            status=WorkerStatus.LOADED,
            progress=1.0,
            memory_bytes=memory_bytes,
            context_length=context_length,
            format=form,
        )

    def hashed(self, model_hash: str) -> None:
        """The hash of the model is known."""
        self._change(model_hash=model_hash)

    def takes_calls(self, names: Iterable[str]) -> None:
        """It takes calls of these names from now on."""
        self._change(calls=tuple(names))

    def tell_use(self, use: Callable[[], EngineUse]) -> None:
        """Each beat tells from now on what the engine uses."""
        self._use = use

    def answered(self) -> None:
        """It has given text: whatever ends it now, it can work."""
        if not self._worker.answered:
            self._change(answered=True)

    def failed(self, error: InferenceError) -> None:
        """The model could not be loaded."""
        self._change(status=WorkerStatus.FAILED, error=error.to_dict(), memory_bytes=0)

    def wedged(self, reason: str) -> None:
        """This worker does not work; said at once, since it ends."""
        error = EngineFailed(f"The worker is started again: {reason}.")
        self._worker = replace(self._worker, status=WorkerStatus.WEDGED, error=error.to_dict())
        try:
            self._beat()
        except RedisError as away:
            log.debug("the state 'wedged' cannot be written: %s", away)

    def unloading(self) -> None:
        """No new requests from now on."""
        self._change(status=WorkerStatus.UNLOADING)

    def _change(self, **changes: Any) -> None:
        self._worker = replace(self._worker, **changes)
        self._news.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._beat()
            except RedisError as error:
                log.debug("presence cannot be written while Redis is unavailable: %s", error)
            self._news.wait(BEAT_S)
            self._news.clear()

    def _end(self, last_word: Callable[[], object]) -> None:
        if self._ending.is_set():
            return
        self._ending.set()
        self._news.set()
        self._join(2 * BEAT_S)
        try:
            last_word()
        except RedisError as error:
            log.debug("presence expires on its own: %s", error)

    def _beat(self, ttl_ms: int = keys.PRESENCE_TTL_MS) -> None:
        worker = self._worker
        if self._use is not None and worker.holds:
            worker = replace(worker, use=self._use())
        key = keys.worker(worker.id)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(key, json.dumps(dataclasses.asdict(worker)), px=ttl_ms)
            pipe.sadd(keys.WORKERS, worker.id)
            if worker.model and worker.status is WorkerStatus.LOADED:
                pipe.sadd(keys.LOADED_ONCE, worker.model)
                pipe.set(keys.served(worker.model), worker.id, px=keys.SERVED_TTL_MS)
            elif worker.model and worker.status in _LEAVING:
                pipe.delete(keys.served(worker.model))  # another one of it says so again at once
            pipe.execute()


def declare_dead(redis: Redis, worker_id: str) -> int:
    """Let the keeper deal with a worker now, whose process is known to have ended.

    Returns how many steps it held.

    Raises:
        redis.RedisError: Redis is away; its presence and its leases expire by themselves.
    """
    return int(run(redis, "declare_dead", worker_id))


def forget_loaded(redis: Redis) -> None:
    """A new life of the service begins: no model has been loaded in it."""
    redis.delete(keys.LOADED_ONCE)
