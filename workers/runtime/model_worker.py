"""The life of a worker process: load, answer, end."""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from redis.exceptions import RedisError

from presets.catalogue import Catalogue
from presets.memory.devices import show_only
from presets.memory.plan import Placement
from presets.model import ModelSpec
from workers import logs
from workers.app import make_app, model_queue, queue
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.cluster.supervision import is_supervised
from workers.contract.errors import InferenceError, ModelLoadFailed
from workers.engines import registry
from workers.engines.base import Engine, EngineOptions
from workers.loading.load_lock import loading_turn
from workers.loading.order_watcher import OrderWatcher, become_anew
from workers.planning import catalogue, memory_plan
from workers.runtime import revoke
from workers.runtime.generation import Loading, StepRunner
from workers.runtime.tasks import register_generate
from workers.runtime.watchdog import Watchdog
from workers.settings import Settings
from workers.store import connections
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

log = logging.getLogger(__name__)


def run_model_worker(
    settings: Settings, model_id: str, *, devices: tuple[int, ...] = (), force: bool = False
) -> int:
    """Serve one model until SIGTERM or SIGINT; returns the process's exit status.

    `devices` are obeyed over the catalogue's; `force` loads it even where it does not fit.
    A model that cannot be loaded leaves the process alive and its status `failed`: the reason
    stays visible, and a supervisor does not load a broken file again and again. An order to unload
    ends the process too; without a supervisor it becomes a new one, which waits.

    Raises:
        presets.catalogue.UnknownModel: the catalogue has no such model.
    """
    logs.configure(settings, f"worker {model_id}")
    known = catalogue.load(settings)
    spec = known.get(model_id)
    spec = replace(spec, devices=devices or spec.devices)
    redis = connections.client(settings)
    presence = Presence(redis, worker_record(spec.id, memory_plan.concurrency(settings, spec)))
    order_watcher = OrderWatcher(redis, spec.id, presence)
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end_now(told_to_end))

    def load() -> Engine | None:
        return _load(settings, known, spec, presence, force=force)

    try:
        status = _live(settings, spec, load, presence, order_watcher, told_to_end, forced=force)
    except _Ended:
        log.info("told to end; %s was not loaded", spec.id)
        status = 0
    finally:
        order_watcher.stop()
        if not order_watcher.leaves or is_supervised():
            presence.stop()
    if order_watcher.leaves and not is_supervised():
        presence.sleep()
        become_anew()
    return status


def _live(
    settings: Settings,
    spec: ModelSpec,
    load: Callable[[], Engine | None],
    presence: Presence,
    order_watcher: OrderWatcher,
    told_to_end: threading.Event,
    *,
    forced: bool,
) -> int:
    """From the first beat to the last answer; returns the exit status."""
    resting = _was_here(presence)
    if resting:
        presence.rests()
    presence.start()
    if not order_watcher.await_load(told_to_end, resting=resting, forced=forced):
        return 0
    began = time.monotonic()
    order_watcher.start()
    engine = load()
    if told_to_end.is_set():  # a signal that reached a native call raises nothing
        if engine is not None:
            engine.close()
        return 0
    if engine is None:
        told_to_end.wait()
        return 0
    loading = Loading(began, time.monotonic())
    return _serve_model(settings, spec, engine, loading, presence, order_watcher)


def _was_here(presence: Presence) -> bool:
    try:
        return presence.was_here()
    except RedisError:
        return False


def worker_record(model_id: str | None, concurrency: int) -> Worker:
    """What a process says of itself at its start; `model_id` None for the orchestration worker."""
    name = model_id or "orchestration"
    born = int(psutil.Process().create_time() * 100)  # the same when it becomes a new process
    return Worker(
        id=f"{name}@{socket.gethostname()}-{os.getpid():x}-{born:x}",
        model=model_id,
        pid=os.getpid(),
        host=socket.gethostname(),
        concurrency=concurrency,
    )


def _load(
    settings: Settings, known: Catalogue, spec: ModelSpec, presence: Presence, *, force: bool
) -> Engine | None:
    """The loaded engine; None where the model could not be loaded, which is told."""
    try:
        with loading_turn(settings.data_dir):
            placed = memory_plan.place(settings, known, spec, _workers(settings), force=force)
            presence.placed(placed.planned_bytes, placed.devices)
            engine = registry.create(spec.backend, engine_options(settings, spec, placed))
            log.info("loading %s", spec.path or spec.id)
            engine.load(spec, presence.progress)
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
    return None


def engine_options(settings: Settings, spec: ModelSpec, placed: Placement) -> EngineOptions:
    """What the engine is told; sets what its libraries will see of the machine when it is imported.

    CUDA_VISIBLE_DEVICES, rather than an engine's own option, since it means the same to every
    engine, and keeps the process from holding memory on devices that it does not use.
    """
    layers = memory_plan.gpu_layers(settings, spec)
    if placed.demand.device_share and not placed.devices:
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


class _Ended(BaseException):
    """SIGTERM or SIGINT came before the model was there; no error that a load could report."""


def _end_now(told_to_end: threading.Event) -> None:
    if not told_to_end.is_set():
        told_to_end.set()
        raise _Ended


def _serve_model(
    settings: Settings,
    spec: ModelSpec,
    engine: Engine,
    loading: Loading,
    presence: Presence,
    order_watcher: OrderWatcher,
) -> int:
    worker = presence.worker
    leases = Leases(connections.client(settings), worker.id)
    token_log = TokenLog(connections.client(settings))
    app = make_app(settings)
    workshop = StepRunner(engine, leases, token_log, loading=loading)
    register_generate(app, spec.id, workshop)
    revoke.install(JobStore(connections.client(settings)))
    leases.start()
    token_log.start()
    watchdog = Watchdog(
        connections.client(settings), spec.id, workshop, presence, settings.wedged_s
    )
    watchdog.watch(app)

    def end_in_time(**_: Any) -> None:
        presence.unloading()
        watchdog.ease()
        workshop.isolation.close()
        grace_s = order_watcher.grace_s(settings.grace_s)
        if grace_s is not None:
            timer = threading.Timer(grace_s, _give_back, args=(leases,))
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
