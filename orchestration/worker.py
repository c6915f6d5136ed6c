"""The orchestration worker's process: it decides between rounds, runs the keeper, and has the
tokenizer as its child.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from orchestration.context.planning import Planner
from orchestration.modes import registry
from orchestration.rounds.advance import RoundAdvancer
from orchestration.rounds.context_budgets import ContextBudgets
from orchestration.rounds.dispatch import ADVANCE, ADVANCE_WITH_READERS
from workers import logs
from workers.app import make_app, model_queue
from workers.cluster.directory import Directory
from workers.cluster.drains import DrainWatcher
from workers.cluster.presence import Presence
from workers.contract.step import ORCHESTRATOR, StepRequest
from workers.keeper import duties
from workers.keeper.duties import Resources
from workers.keeper.keeper import Keeper
from workers.metrics import cache_meter
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.metrics.span_meter import span_meter
from workers.planning import catalogue
from workers.runtime import ending
from workers.runtime.consumer import consume, worker_record
from workers.settings import Settings
from workers.store import connections, redis_memory
from workers.store.leases import Leases
from workers.store.tokenizer_calls import TokenizerCalls
from workers.tokenizer.child import TokenizerChild
from workers.tracing import recording

#: Rounds decided at once: each takes some milliseconds, most of them waiting for Redis.
CONCURRENCY = 4
#: What rounds that are being decided get when the process is asked to end.
GRACE_S = 3.0


def run(settings: Settings) -> int:
    """Decide between rounds and keep until SIGTERM or SIGINT; returns the exit status.

    Raises:
        PromptError: a template of the operator's own cannot be used.
    """
    logs.configure(settings, "orchestration")
    watched = ending.watch(GRACE_S)
    redis = connections.client(settings)
    app = make_app(settings)
    worker = worker_record(None, CONCURRENCY)
    presence = Presence(redis, worker)
    leases = Leases(connections.client(settings), worker.id)
    budgets = ContextBudgets(catalogue.load(settings), Directory(redis))
    counter = TokenizerCalls(connections.client(settings), urgent=True)
    planner = Planner(counter, budgets)
    modes = registry.load(settings.catalogue_dir)
    metrics = ProcessMetrics(enabled=settings.metrics_enabled)
    recording.configure(settings, "orchestration", span_meter(metrics))
    count = cache_meter.count_in(metrics)
    advancer = RoundAdvancer(redis, app, leases, worker.id, modes, planner, count)
    _register(app, advancer)
    tokenizer = TokenizerChild(connections.client(settings))
    reporter = MetricsReporter(redis, metrics)
    keeper = Keeper(redis, duties.make(Resources(redis, app, settings, metrics)))
    drains = DrainWatcher(redis, worker.id, watched.end_patiently)
    drains.start()
    presence.start()
    presence.loaded(memory_bytes=0, context_length=0)
    leases.start()
    keeper.start()
    tokenizer.start()
    reporter.start()
    try:
        redis_memory.warn_of_eviction(redis)
        return consume(app, worker, model_queue(ORCHESTRATOR))
    finally:
        drains.stop()
        tokenizer.stop()
        keeper.stop()
        reporter.stop()
        leases.stop()
        presence.stop()


def _register(app: Celery, advancer: RoundAdvancer) -> None:
    def advance(request: dict[str, Any]) -> None:
        advancer.advance(StepRequest.from_dict(request))

    for name in (ADVANCE, ADVANCE_WITH_READERS):
        app.task(name=name)(advance)
