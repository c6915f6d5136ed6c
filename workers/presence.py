"""Presence: what each worker process says of itself, and who is there."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.contract import keys
from workers.contract.errors import EngineFailed, InferenceError

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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Worker:
        """Rebuild a worker; fields of a newer version are ignored."""
        names = {f.name for f in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        known["devices"] = tuple(data.get("devices", ()))
        return cls(**{**known, "status": WorkerStatus(data["status"])})


class Presence:
    """Tells Redis every half second that this worker lives and what it does."""

    def __init__(self, redis: Redis, worker: Worker) -> None:
        self._redis = redis
        self._worker = worker
        self._news = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    @property
    def worker(self) -> Worker:
        """What is told at present."""
        return self._worker

    def start(self) -> None:
        """Start the thread that beats."""
        self._thread.start()

    def stop(self) -> None:
        """Leave: nobody waits for this worker any longer."""
        self._ending.set()
        self._news.set()
        self._thread.join(2 * BEAT_S)

    def progress(self, fraction: float) -> None:
        """Loading is this far, from 0 to 1."""
        self._worker = replace(self._worker, progress=round(fraction, 2))

    def placed(self, memory_bytes: int, devices: tuple[int, ...]) -> None:
        """The model is to take this much; others plan around it from now on."""
        self._tell(memory_bytes=memory_bytes, devices=devices)

    def loaded(self, memory_bytes: int, context_length: int, form: str | None = None) -> None:
        """The model answers from now on."""
        self._tell(
            status=WorkerStatus.LOADED,
            progress=1.0,
            memory_bytes=memory_bytes,
            context_length=context_length,
            format=form,
        )

    def failed(self, error: InferenceError) -> None:
        """The model could not be loaded."""
        self._tell(status=WorkerStatus.FAILED, error=error.to_dict(), memory_bytes=0)

    def wedged(self, reason: str) -> None:
        """This worker does not work; told at once, since it ends."""
        error = EngineFailed(f"The worker is started again: {reason}.")
        self._worker = replace(self._worker, status=WorkerStatus.WEDGED, error=error.to_dict())
        try:
            self._beat()
        except RedisError as away:
            log.debug("nobody can be told: %s", away)

    def unloading(self) -> None:
        """No new requests from now on."""
        self._tell(status=WorkerStatus.UNLOADING)

    def _tell(self, **changes: Any) -> None:
        self._worker = replace(self._worker, **changes)
        self._news.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._beat()
            except RedisError as error:
                log.debug("presence cannot be told while Redis is away: %s", error)
            self._news.wait(BEAT_S)
            self._news.clear()
        try:
            self._redis.delete(keys.worker(self._worker.id))
        except RedisError as error:
            log.debug("presence expires by itself: %s", error)

    def _beat(self) -> None:
        worker = self._worker
        key = keys.worker(worker.id)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(key, json.dumps(dataclasses.asdict(worker)), px=keys.PRESENCE_TTL_MS)
            pipe.sadd(keys.WORKERS, worker.id)
            if worker.model and worker.status is WorkerStatus.LOADED:
                pipe.sadd(keys.LOADED_ONCE, worker.model)
            pipe.execute()


class Directory:
    """Who is there. Answers are at most `ttl_s` old, so that load does not multiply reads."""

    def __init__(self, redis: Redis, ttl_s: float = 0.25) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._workers: tuple[Worker, ...] = ()
        self._loaded_once: frozenset[str] = frozenset()

    def workers(self) -> tuple[Worker, ...]:
        """Every live worker process.

        Raises:
            redis.RedisError: Redis is away.
        """
        self._refresh()
        return self._workers

    def serving(self, model: str) -> tuple[Worker, ...]:
        """Live workers that answer for a model."""
        return tuple(
            worker
            for worker in self.workers()
            if worker.model == model and worker.status is WorkerStatus.LOADED
        )

    def loaded_once(self) -> frozenset[str]:
        """Models that have been loaded at least once since `up` started."""
        self._refresh()
        return self._loaded_once

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < self._ttl_s:
                return
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.smembers(keys.WORKERS)
                pipe.smembers(keys.LOADED_ONCE)
                ids, loaded_once = pipe.execute()
            told = self._redis.mget([keys.worker(i.decode()) for i in sorted(ids)]) if ids else []
            self._workers = tuple(Worker.from_dict(json.loads(raw)) for raw in told if raw)
            self._loaded_once = frozenset(model.decode() for model in loaded_once)
            self._read_at = time.monotonic()


def forget_loaded(redis: Redis) -> None:
    """A new life of the service begins: no model has been loaded in it."""
    redis.delete(keys.LOADED_ONCE)
