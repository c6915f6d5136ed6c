"""The life of a worker process: load, answer, end."""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import threading
import time
import uuid
import warnings
from dataclasses import replace
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from redis.exceptions import RedisError

from presets.catalogue import Catalogue
from presets.devices import show_only
from presets.model import ModelSpec
from presets.plan import Placed
from workers import catalogue, connections, logs, memory_plan, revoking
from workers.app import make_app, model_queue, queue
from workers.contract.errors import InferenceError, ModelLoadFailed
from workers.engines import registry
from workers.engines.base import Engine, EngineOptions
from workers.generation import Loading, Workshop
from workers.jobs import JobStore
from workers.leases import Leases
from workers.loading_turn import loading_turn
from workers.presence import Directory, Presence, Worker
from workers.settings import Settings
from workers.tasks import register_generate
from workers.token_log import TokenLog
from workers.watchdog import Watchdog

log = logging.getLogger(__name__)


def run_model_worker(
    settings: Settings, model_id: str, *, devices: tuple[int, ...] = (), force: bool = False
) -> int:
    """Serve one model until SIGTERM or SIGINT; returns the process's exit status.

    `devices` are obeyed over the catalogue's; `force` loads it even where it does not fit.
    A model that cannot be loaded leaves the process alive and its status `failed`: the reason
    stays visible, and a supervisor does not load a broken file again and again.

    Raises:
        presets.catalogue.UnknownModel: the catalogue has no such model.
    """
    _lead_group()
    logs.configure(settings, f"worker {model_id}")
    known = catalogue.load(settings)
    spec = known.get(model_id)
    spec = replace(spec, devices=devices or spec.devices)
    redis = connections.client(settings)
    worker = worker_record(spec.id, memory_plan.concurrency(settings, spec))
    presence = Presence(redis, worker)
    presence.start()
    try:
        began = time.monotonic()
        engine = _load(settings, known, spec, presence, force=force)
        if engine is None:
            return 0
        loading = Loading(began, time.monotonic())
        return _serve_model(settings, spec, engine, loading, presence)
    finally:
        presence.stop()


def _lead_group() -> None:
    """Make this process the leader of its group, so that what its engine starts can be ended with
    it. `up`, a shell and a container start it as one.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


def worker_record(model_id: str | None, concurrency: int) -> Worker:
    """What a process says of itself at its start; `model_id` None for the orchestration worker."""
    name = model_id or "orchestration"
    return Worker(
        id=f"{name}@{socket.gethostname()}-{uuid.uuid4().hex[:8]}",
        model=model_id,
        pid=os.getpid(),
        host=socket.gethostname(),
        concurrency=concurrency,
    )


def _load(
    settings: Settings, known: Catalogue, spec: ModelSpec, presence: Presence, *, force: bool
) -> Engine | None:
    """The loaded engine; None when loading failed and the process was then told to end."""
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end_loading(told_to_end))
    try:
        with loading_turn(settings.data_dir):
            placed = memory_plan.place(settings, known, spec, _workers(settings), force=force)
            presence.placed(placed.planned_bytes, placed.devices)
            engine = registry.create(spec.backend, engine_options(settings, spec, placed))
            log.info("loading %s", spec.path or spec.id)
            engine.load(spec, presence.progress)
    except _EndedWhileLoading:
        log.info("told to end while loading")
        return None
    except InferenceError as error:
        failure = error
    except Exception as error:
        log.exception("the engine failed to load %s", spec.id)
        failure = ModelLoadFailed(f"{type(error).__name__}: {error}")
    else:
        presence.loaded(engine.memory_bytes, engine.context_length, spec.format)
        return engine
    log.error("%s cannot be served: %s", spec.id, failure.message)
    presence.failed(failure)
    try:
        told_to_end.wait()
    except _EndedWhileLoading:
        log.info("ending; %s was never loaded", spec.id)
    return None


def engine_options(settings: Settings, spec: ModelSpec, placed: Placed) -> EngineOptions:
    """What the engine is told; sets what its libraries will see of the machine when it is imported.

    CUDA_VISIBLE_DEVICES, rather than an engine's own option, since it means the same to every
    engine, and keeps the process from holding memory on devices that it does not use.
    """
    layers = memory_plan.gpu_layers(settings, spec)
    if placed.want.device_share and not placed.devices:
        log.warning("no device has room for %s: it runs on the CPU", spec.id)
        layers = 0
    if platform.system() != "Darwin" and (placed.devices or layers == 0):
        show_only(placed.devices, os.environ)
    return EngineOptions(
        concurrency=memory_plan.concurrency(settings, spec),
        cache_dir=settings.data_dir / "cache",
        threads=settings.engine_threads,
        gpu_layers=layers,
        devices=placed.devices,
        memory_fraction=spec.memory_fraction,
        kv_tokens=placed.kv_tokens,
    )


def _workers(settings: Settings) -> tuple[Worker, ...]:
    """Who is there; nobody while Redis is away, since loading does not wait for it."""
    try:
        return Directory(connections.client(settings)).workers()
    except RedisError as away:
        log.warning("loading without knowing of other models: %s", away)
        return ()


class _EndedWhileLoading(Exception):
    """SIGTERM or SIGINT came before the model was there."""


def _end_loading(told_to_end: threading.Event) -> None:
    if not told_to_end.is_set():
        told_to_end.set()
        raise _EndedWhileLoading


def _serve_model(
    settings: Settings, spec: ModelSpec, engine: Engine, loading: Loading, presence: Presence
) -> int:
    worker = presence.worker
    leases = Leases(connections.client(settings), worker.id)
    token_log = TokenLog(connections.client(settings))
    app = make_app(settings)
    workshop = Workshop(engine, leases, token_log, loading=loading)
    register_generate(app, spec.id, workshop)
    revoking.install(JobStore(connections.client(settings)))
    leases.start()
    token_log.start()
    watchdog = Watchdog(
        connections.client(settings), spec.id, workshop, presence, settings.wedged_s
    )
    watchdog.watch(app)

    def end_in_time(**_: Any) -> None:
        presence.unloading()
        watchdog.stop()
        workshop.isolation.close()
        timer = threading.Timer(settings.grace_s, _give_back, args=(leases,))
        timer.daemon = True
        timer.start()

    worker_shutting_down.connect(end_in_time, weak=False)
    watchdog.start()
    try:
        return consume(app, worker, model_queue(spec.id))
    finally:
        watchdog.stop()
        token_log.stop(timeout_s=2.0)
        leases.stop()
        engine.close()


def _give_back(leases: Leases) -> None:
    held = leases.held()
    log.warning("grace is over: %d answers go on elsewhere", len(held))
    for lease in held:
        lease.giving_back.set()
        lease.stop.set()


def consume(app: Celery, worker: Worker, queue_name: str) -> int:
    """Consume one queue until a signal ends the process; Celery handles the signals."""
    setup_logging.connect(_leave_logging_alone, weak=False)
    # Celery warns root because of pickled messages; ours are JSON, and containers run as root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker_ready.connect(lambda **_: log.info("ready, queue %s", queue_name), weak=False)
    app.conf.task_queues = [queue(queue_name)]
    consumer = app.Worker(
        hostname=worker.id,
        pool="threads",
        concurrency=worker.concurrency,
        queues=[queue_name],
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    consumer.start()
    return int(consumer.exitcode or 0)


def _leave_logging_alone(**_: Any) -> None:
    """Being connected is what keeps Celery from configuring the logging."""
