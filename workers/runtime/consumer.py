"""The consumer: Celery takes the messages of one queue until a signal ends the process."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from typing import Any

import psutil
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_ready

from workers.app import queue
from workers.cluster.presence import Worker

log = logging.getLogger(__name__)


def worker_record(model_id: str | None, concurrency: int) -> Worker:
    """What a process reports of itself at its start; `model_id` None: the orchestration worker."""
    name = model_id or "orchestration"
    return Worker(
        id=f"{name}@{socket.gethostname()}-{os.getpid():x}-{started_at(psutil.Process()):x}",
        model=model_id,
        pid=os.getpid(),
        host=socket.gethostname(),
        concurrency=concurrency,
    )


def started_at(process: psutil.Process) -> int:
    """When a process began, in hundredths of a second; it keeps this when it execs itself."""
    return int(process.create_time() * 100)


def consume(app: Celery, worker: Worker, queue_name: str) -> int:
    """Consume one queue; Celery handles SIGTERM and SIGINT. Returns the exit status."""
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
