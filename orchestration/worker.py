"""The orchestration worker's process: it decides between rounds, and runs the keeper."""

from __future__ import annotations

from typing import Any

from celery import Celery
from redis import Redis

from orchestration import modes
from orchestration.conductor import Conductor
from orchestration.sending import ADVANCE
from workers import connections, logs, memory
from workers.abandoning import Abandoning
from workers.aging import Aging
from workers.app import make_app, model_queue
from workers.contract.step import ORCHESTRATOR, StepRequest
from workers.deadlines import Deadlines
from workers.keeper import Duty, Keeper
from workers.leases import Leases
from workers.loading.loads import Loads
from workers.losses import Losses
from workers.messages import Messages
from workers.presence import Presence
from workers.process import consume, worker_record
from workers.settings import Settings
from workers.webhooks import Webhooks

#: Rounds decided at once: each takes some milliseconds, most of them waiting for Redis.
CONCURRENCY = 4


def run(settings: Settings) -> int:
    """Decide between rounds and keep until SIGTERM or SIGINT; returns the exit status.

    Raises:
        PromptError: a template of the operator's own cannot be used.
    """
    logs.configure(settings, "orchestration")
    redis = connections.client(settings)
    app = make_app(settings)
    worker = worker_record(None, CONCURRENCY)
    presence = Presence(redis, worker)
    leases = Leases(connections.client(settings), worker.id)
    conductor = Conductor(redis, app, leases, worker.id, modes.load(settings.catalogue_dir))
    _register(app, conductor)
    keeper = Keeper(redis, _duties(settings, redis, app))
    presence.start()
    presence.loaded(memory_bytes=0, context_length=0)
    leases.start()
    keeper.start()
    try:
        memory.warn_of_eviction(redis)
        return consume(app, worker, model_queue(ORCHESTRATOR))
    finally:
        keeper.stop()
        leases.stop()
        presence.stop()


def _register(app: Celery, conductor: Conductor) -> None:
    @app.task(name=ADVANCE)
    def advance(request: dict[str, Any]) -> None:
        conductor.advance(StepRequest.from_dict(request))


def _duties(settings: Settings, redis: Redis, app: Celery) -> list[Duty]:
    duties: list[Duty] = [
        Losses(redis),
        Abandoning(redis),
        Messages(redis, app),
        Deadlines(redis),
        Loads(redis, settings),
        Webhooks(redis, settings.webhook_secret, settings.webhook_networks),
    ]
    if settings.effective_queue_strategy == "priority":
        duties.append(Aging(redis, settings.aging_s))
    return duties
