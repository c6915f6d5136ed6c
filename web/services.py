"""What the routes work with, made once per process."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import flask
from redis import Redis

from orchestration.admission import Admission
from orchestration.loading import Loader
from orchestration.mode_selection import ModeSelector
from orchestration.modes import registry
from orchestration.routing.router import Router
from orchestration.semantic.lookup import SemanticLookup
from orchestration.submit import Submitter
from presets.catalogue import Catalogue
from presets.memory import machine
from presets.memory.machine import Machine
from presets.memory.plan import Placement
from presets.model import ModelSpec
from web.access import auth
from web.live.completions import LiveCompletions
from web.live.disconnects import Disconnects
from web.live.draining import Draining
from web.live.hub import Hub
from web.live.key_shares import KeyShares
from web.live.opening import Dependencies
from web.live.slots import Slots
from web.live.waiting_line import WaitingLine
from workers.app import make_app
from workers.caches.cache import Cache, CacheEvent, all_of
from workers.caches.semantic import SEMANTIC
from workers.cluster.directory import Directory
from workers.cluster.drains import Drains
from workers.contract.errors import TemporaryResource
from workers.metrics import cache_meter
from workers.metrics.exposition import Exposition
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.planning import catalogue as catalogue_
from workers.planning import memory_plan
from workers.settings import Settings
from workers.settings.contradictions import SPARE_WEB_THREADS
from workers.store import connections
from workers.store.admission import Durability
from workers.store.calls import MOST_WAITING
from workers.store.jobs import JobStore
from workers.store.model_calls import ModelCalls
from workers.store.redis_memory import RedisMemory
from workers.store.routing_state import RoutingState
from workers.store.tokenizer_calls import TokenizerCalls


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one front end."""

    settings: Settings
    catalogue: Catalogue
    directory: Directory
    live_completions: LiveCompletions
    submitter: Submitter
    admission: Admission
    mode_selector: ModeSelector
    loader: Loader
    jobs: JobStore
    tokenizer: TokenizerCalls
    hub: Hub
    disconnects: Disconnects
    #: What closes this front end's own answers when it ends, and what drains workers.
    draining: Draining
    drains: Drains
    #: What this front end counts, and the thread that tells it.
    metrics: ProcessMetrics
    reporter: MetricsReporter
    #: What all processes count.
    exposition: Exposition
    #: Every cache by its name, and what all processes have counted of it.
    caches: Mapping[str, Cache]
    cache_counts: Callable[[str], Mapping[CacheEvent, int]]
    #: None: INFERENCE_SEMANTIC_CACHE is off.
    semantic: SemanticLookup | None
    #: This machine with nothing on it, for plans of models that are not loaded.
    machine: Machine
    #: One permit for each thread that an open answer may hold.
    thread_permits: threading.BoundedSemaphore
    #: One permit for each WebSocket that may be open at once.
    socket_permits: threading.BoundedSemaphore
    thread_shares: KeyShares
    request_shares: KeyShares
    socket_shares: KeyShares
    tokenizer_shares: KeyShares

    @classmethod
    def start(cls, settings: Settings, redis: Redis | None = None) -> Services:
        """Build everything and start the threads; works while Redis is away."""
        # Who waits for the tokenizer holds a connection.
        tokenizer = TokenizerCalls(redis or connections.client(settings))
        redis = redis or connections.client(settings)
        catalogue = catalogue_.load(settings)
        directory = Directory(redis, autoscaled=settings.autoscaled)
        jobs = JobStore(redis)
        admission = Admission(settings, directory, jobs, RedisMemory(redis))
        mode_selector = ModeSelector(settings, catalogue, directory)
        submitter = Submitter(
            catalogue,
            directory,
            jobs,
            make_app(settings),
            admission,
            Router(settings, catalogue, directory, RoutingState(redis)),
            mode_selector,
            registry.load(settings.catalogue_dir),
            durability=Durability(settings.jobs_fsync, settings.jobs_replicas),
            coalesce=settings.coalesce,
            load_on_demand=settings.load_on_demand,
        )
        hub, slots, disconnects = Hub(redis), Slots(redis), Disconnects()
        metrics = ProcessMetrics(enabled=settings.metrics_enabled)
        reporter = MetricsReporter(redis, metrics)
        for thread in (hub, slots, disconnects, reporter):
            thread.start()
        draining = Draining(settings.grace_s)
        caches = all_of(redis, settings.cache_mb * 2**20, cache_meter.count_in(metrics))
        semantic = _semantic(settings, redis, directory, caches)
        dependencies = Dependencies(
            submitter=submitter,
            jobs=jobs,
            directory=directory,
            hub=hub,
            slots=slots,
            line=WaitingLine(),
            semantic=semantic,
            timeout_s=settings.request_timeout_s,
            reject_when_full=settings.reject_when_full,
        )
        return cls(
            settings=settings,
            catalogue=catalogue,
            directory=directory,
            live_completions=LiveCompletions(dependencies, disconnects, draining),
            submitter=submitter,
            admission=admission,
            mode_selector=mode_selector,
            loader=Loader(redis, settings.request_timeout_s),
            jobs=jobs,
            tokenizer=tokenizer,
            hub=hub,
            disconnects=disconnects,
            draining=draining,
            drains=Drains(redis),
            metrics=metrics,
            reporter=reporter,
            exposition=Exposition(redis, directory, [spec.id for spec in catalogue.all()]),
            caches=caches,
            cache_counts=functools.partial(cache_meter.counted, redis),
            semantic=semantic,
            machine=machine.read().emptied(),
            thread_permits=threading.BoundedSemaphore(_most_held(settings)),
            socket_permits=threading.BoundedSemaphore(settings.max_sockets),
            **_key_shares(settings.max_key_share),
        )

    @contextlib.contextmanager
    def open_request(self) -> Iterator[None]:
        """Hold a thread for a completion whose caller waits for it.

        Raises:
            TemporaryResource: all are taken, or all that one key may hold.
        """
        key, most = auth.sharing_key(), self.admission.most_open()
        with self.request_shares.holding(key, most), self.thread():
            yield

    @contextlib.contextmanager
    def socket(self) -> Iterator[None]:
        """Hold one of the WebSockets that may be open; their threads are beside those of requests.

        Raises:
            TemporaryResource: all are taken, or all that one key may hold.
        """
        most = self.settings.max_sockets
        with self.socket_shares.holding(auth.sharing_key(), most):
            if not self.socket_permits.acquire(blocking=False):
                raise TemporaryResource(
                    f"{most} WebSockets are open, as many as INFERENCE_MAX_SOCKETS allows. Try "
                    "again in a moment.",
                    details={"bound": "sockets", "limit": most},
                )
            try:
                yield
            finally:
                self.socket_permits.release()

    @contextlib.contextmanager
    def thread(self) -> Iterator[None]:
        """Hold one of the threads that callers may wait on; the others keep `/health` alive.

        Raises:
            TemporaryResource: all are taken, or all that one key may hold.
        """
        most = _most_held(self.settings)
        with self.thread_shares.holding(auth.sharing_key(), most):
            if not self.thread_permits.acquire(blocking=False):
                raise TemporaryResource(
                    "All threads of the front end are taken by open answers. Try again in a "
                    "moment, or raise INFERENCE_WEB_THREADS.",
                    details={"bound": "threads", "limit": most},
                )
            try:
                yield
            finally:
                self.thread_permits.release()

    @contextlib.contextmanager
    def tokenizing(self) -> Iterator[None]:
        """Hold a thread for a caller that waits for the tokenizer.

        Raises:
            TemporaryResource: all are taken, or all that one key may hold.
        """
        key = auth.sharing_key()
        with self.tokenizer_shares.holding(key, MOST_WAITING), self.thread():
            yield

    def wanted(self) -> tuple[str, ...]:
        """The models that the service is to serve."""
        return self.catalogue.wanted(self.settings.preload_models, self.settings.config)

    def planned(self, spec: ModelSpec) -> Placement:
        """Where a model would go, and how large its pool would be, alone on this machine."""
        return memory_plan.plan(self.settings, [spec], self.machine).of(spec.id)

    def preset_id(self) -> str | None:
        """The preset that runs; None where models were chosen in another way."""
        preset = self.mode_selector.preset
        return None if preset is None else preset.id


def _semantic(
    settings: Settings, redis: Redis, directory: Directory, caches: Mapping[str, Cache]
) -> SemanticLookup | None:
    if not settings.semantic_cache:
        return None
    # Who waits for a call holds a connection.
    calls = ModelCalls(connections.client(settings), directory)
    return SemanticLookup(
        calls,
        caches[SEMANTIC.name],
        directory,
        Directory(redis, ttl_s=0),
        embedder=settings.semantic_cache_model,
        threshold=settings.semantic_cache_threshold,
        shared=settings.semantic_cache_shared,
    )


def _key_shares(most: float) -> dict[str, KeyShares]:
    """What one key may hold of threads, requests, WebSockets and calls, by field of `Services`."""
    return {
        "thread_shares": KeyShares(most, "threads of open answers"),
        "request_shares": KeyShares(most, "requests that may be open"),
        "socket_shares": KeyShares(most, "WebSockets that may be open"),
        "tokenizer_shares": KeyShares(most, "calls that may wait for the tokenizer"),
    }


def _most_held(settings: Settings) -> int:
    """Threads that open answers may hold together."""
    return max(1, settings.web_threads - SPARE_WEB_THREADS)


def services() -> Services:
    """The services of the present application."""
    current: Services = flask.current_app.extensions["inference"]
    return current
