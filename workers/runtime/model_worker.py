"""The life of a model worker's process: load, answer, end."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from celery.signals import worker_shutting_down
from redis.exceptions import RedisError

from presets.catalogue import Catalogue
from presets.model import ModelSpec
from workers import logs
from workers.app import make_app, model_queue
from workers.caches.cache import Cache
from workers.caches.compressions import COMPRESSIONS, Compressions
from workers.caches.kind import CacheKind
from workers.caches.prompts import PROMPTS, Prompts
from workers.cluster.drains import DrainWatcher
from workers.cluster.presence import Presence
from workers.cluster.supervision import is_supervised
from workers.engines import registry
from workers.engines.base import Engine
from workers.engines.embedding_engine import EmbeddingEngine
from workers.engines.rerank_engine import RerankEngine
from workers.loading.order_watcher import OrderWatcher, restart_process
from workers.metrics import cache_meter, instruments, scrape_port
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.metrics.span_meter import span_meter
from workers.planning import catalogue, memory_plan
from workers.runtime import ending, revoke
from workers.runtime.calls.registry import CallResources, handlers
from workers.runtime.calls.server import ModelCallServer
from workers.runtime.consumer import consume, worker_record
from workers.runtime.deletions import Deletions
from workers.runtime.engine_loading import load_engine
from workers.runtime.engine_meter import EngineMeter
from workers.runtime.generation import LoadPeriod, StepRunner
from workers.runtime.hashed_model import HashedModel
from workers.runtime.tasks import register_generate
from workers.runtime.watchdog import Watchdog
from workers.settings import Settings
from workers.store import connections
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.token_log import TokenLog
from workers.tracing import recording

log = logging.getLogger(__name__)


def run_model_worker(
    settings: Settings, model_id: str, *, devices: tuple[int, ...] = (), force: bool = False
) -> int:
    """Serve one model until SIGTERM or SIGINT; returns the process's exit status.

    `devices` replace the catalogue's. `force` loads the model even where it does not fit.
    A model that cannot be loaded leaves the process alive with the status `failed`: the reason
    stays visible, and a supervisor does not load a broken file again and again. An order to unload
    ends the process too; without a supervisor it becomes a new one, which waits.

    Raises:
        presets.catalogue.UnknownModel: the catalogue has no such model.
    """
    logs.configure(settings, f"worker {model_id}")
    models = catalogue.load(settings)
    spec = models.get(model_id)
    spec = replace(spec, devices=devices or spec.devices)
    return _ModelWorker(settings, models, spec, force=force).run()


def import_ahead(backends: Iterable[str]) -> None:
    """Import what workers of these backends need, beside what this module has imported already.

    Raises:
        ModelLoadFailed: there is no such engine.
    """
    for backend in backends:
        registry.import_ahead(backend)


class _Stopped(BaseException):
    """SIGTERM or SIGINT came before the model was loaded; no error that a load could report."""


class _ModelWorker:
    """One process that serves one model."""

    def __init__(
        self, settings: Settings, models: Catalogue, spec: ModelSpec, *, force: bool
    ) -> None:
        self._settings = settings
        self._models = models
        self._spec = spec
        self._force = force
        redis = connections.client(settings)
        concurrency = memory_plan.concurrency(settings, spec)
        self._presence = Presence(redis, worker_record(spec.id, concurrency))
        self._ending = ending.watch(settings.grace_s)
        self._orders = OrderWatcher(redis, spec.id, self._presence, self._end_by_order)
        self._drains = DrainWatcher(redis, self._presence.worker.id, self._ending.end_patiently)
        self._stopping = threading.Event()
        self._metrics = ProcessMetrics(enabled=settings.metrics_enabled)
        self._reporter = MetricsReporter(redis, self._metrics)
        recording.configure(settings, f"worker {spec.id}", span_meter(self._metrics))

    def run(self) -> int:
        """From the first signal handler to the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_loading)
        self._drains.start()
        try:
            status = self._load_and_serve()
        except _Stopped:
            log.info("stopped before %s was loaded", self._spec.id)
            status = 0
        finally:
            self._drains.stop()
            self._orders.stop()
            self._reporter.stop()
            if not self._orders.leaves or is_supervised():
                self._presence.stop()
        if self._orders.leaves and not is_supervised():
            self._presence.sleep()
            recording.stop()
            restart_process()
        return status

    def _end_by_order(self, grace_s: float | None) -> None:
        if grace_s is None:
            self._ending.end_patiently()
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    def _stop_loading(self, *_: Any) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            raise _Stopped

    def _load_and_serve(self) -> int:
        """From the first heartbeat to the last answer; returns the exit status."""
        was_unloaded = self._was_here()
        if was_unloaded:
            self._presence.unloaded()
        self._presence.start()
        if not self._orders.await_load(
            self._stopping, was_unloaded=was_unloaded, forced=self._force
        ):
            return 0
        self._reporter.start()
        began = time.monotonic()
        self._orders.start()
        hashes = self._settings.data_dir / "cache" / "hashes"
        hashed = HashedModel(self._spec, hashes, self._presence.hashed)
        engine = load_engine(
            self._settings,
            self._models,
            self._spec,
            self._presence,
            Prompts(self._cache(PROMPTS), self._spec.id, lambda: hashed.value),
            force=self._force,
        )
        loaded = LoadPeriod(began, time.monotonic())
        if self._stopping.is_set():  # a signal that reached a native call raises nothing
            if engine is not None:
                engine.close()
            return 0
        outcome = "failed" if engine is None else "loaded"
        self._metrics.count(instruments.LOADS, self._spec.id, outcome)
        if engine is None:
            self._stopping.wait()
            return 0
        took_s = loaded.ended - loaded.began
        self._metrics.observe(instruments.LOAD_DURATION, self._spec.id, value=took_s)
        return self._serve(engine, loaded, hashed)

    def _was_here(self) -> bool:
        try:
            return self._presence.was_present()
        except RedisError:
            return False

    def _serve(
        self,
        engine: Engine | EmbeddingEngine | RerankEngine,
        loaded: LoadPeriod,
        hashed: HashedModel,
    ) -> int:
        settings, spec, worker = self._settings, self._spec, self._presence.worker
        hashed.start()
        leases = Leases(connections.client(settings), worker.id)
        token_log = TokenLog(connections.client(settings))
        app = make_app(settings)
        runner = StepRunner(
            engine,
            leases,
            token_log,
            generation_tokens=spec.budgets.scaled(engine.context_length).generation,
            on_text=self._presence.answered,
            loaded=loaded,
            metrics=self._metrics,
            compressions=Compressions(self._cache(COMPRESSIONS), spec.id, lambda: hashed.value),
            model_hash=lambda: hashed.value,
        )
        meter = EngineMeter(self._metrics, spec.id, engine)
        self._presence.tell_use(meter)
        self._metrics.collect_from(meter)
        scrape_port.open_if_set(settings, self._metrics)
        register_generate(app, spec.id, runner)
        revoke.install(JobStore(connections.client(settings)))
        leases.start()
        token_log.start()
        redis = connections.client(settings)
        watchdog = Watchdog(redis, spec.id, runner, self._presence, settings.wedged_s)
        watchdog.watch(app)

        def end_in_time(**_: Any) -> None:
            self._presence.unloading()
            watchdog.drain()
            runner.isolation.close()
            grace_s = self._drains.grace_s(self._orders.grace_s(settings.grace_s))
            if grace_s is not None:
                timer = threading.Timer(grace_s, _give_back, args=(leases,))
                timer.daemon = True
                timer.start()

        worker_shutting_down.connect(end_in_time, weak=False)
        watchdog.start()
        deletions = Deletions(redis, engine)
        deletions.start()
        calls = handlers(CallResources(engine, redis))
        call_server = ModelCallServer(connections.client(settings), spec.id, calls)
        call_server.start()
        self._presence.takes_calls(calls)
        try:
            return consume(app, worker, model_queue(spec.id))
        finally:
            call_server.stop()
            deletions.stop()
            watchdog.stop()
            token_log.stop()
            leases.stop()
            engine.close()

    def _cache(self, kind: CacheKind) -> Cache:
        return Cache(
            kind,
            connections.client(self._settings),
            most_bytes=self._settings.cache_mb * 2**20,
            count=cache_meter.count_in(self._metrics),
        )


def _give_back(leases: Leases) -> None:
    held = leases.held()
    log.warning("the grace period is over: %d answers continue in another worker", len(held))
    for lease in held:
        lease.giving_back.set()
        lease.stop.set()
