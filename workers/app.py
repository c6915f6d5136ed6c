"""The Celery application, for those who send messages and those who consume them."""

from __future__ import annotations

from celery import Celery
from kombu import Queue

import celeryconfig
from workers import broker
from workers.contract.job import Priority
from workers.contract.step import ORCHESTRATOR
from workers.settings import Settings
from workers.store import connections

#: The caller's priority -> the queue's, where 0 is the first.
RANK = {Priority.HIGH: 2, Priority.NORMAL: 4, Priority.LOW: 6, Priority.BULK: 8}
#: The rank of every job where priorities are ignored.
FIFO_RANK = RANK[Priority.NORMAL]

#: Queue of plans, advances and everything else that needs no model.
ORCHESTRATION_QUEUE = "orchestration"


def model_queue(model_id: str) -> str:
    """Name of the queue that the workers of a model consume."""
    return ORCHESTRATION_QUEUE if model_id == ORCHESTRATOR else f"model.{model_id}"


def priority_lists(queue_name: str) -> list[str]:
    """The Redis lists in which kombu keeps a queue, one for each rank, the most urgent first."""
    return [broker.priority_list(queue_name, rank) for rank in celeryconfig.PRIORITY_STEPS]


def generate_task(model_id: str) -> str:
    """Name of the task that runs a step on a model; Flower shows it."""
    return f"generate.{model_id}"


def make_app(settings: Settings) -> Celery:
    """The application."""
    broker.install()
    app = Celery("inference-service", set_as_current=False)
    app.config_from_object(celeryconfig)
    # Only chords use the results: these count which members have ended.
    app.conf.update(
        connections.address(settings).celery_settings(
            celeryconfig.broker_transport_options, celeryconfig.result_backend_transport_options
        )
    )
    return app


def queue(name: str) -> Queue:
    """A queue as kombu declares it."""
    return Queue(name, routing_key=name)
