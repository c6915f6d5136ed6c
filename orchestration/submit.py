"""From an accepted request to a message in its model's queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from celery import Celery
from celery.canvas import Signature

from orchestration import routing, single
from presets.catalogue import Catalogue
from workers.app import RANK, generate_task, model_queue
from workers.contract.job import Job, StepRequest
from workers.contract.keys import SYNC_TTL_S
from workers.jobs import JobStore, PlannedStep
from workers.presence import Directory

log = logging.getLogger(__name__)

#: Mode -> its plan. A mode is one file here and one line in this table.
PLANS = {"single": single.plan}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job whose record is stored and whose messages are not sent yet."""

    job: Job
    signatures: tuple[Mapping[str, Any], ...]


class Submitter:
    """Accepts jobs and starts them."""

    def __init__(
        self,
        catalogue: Catalogue,
        directory: Directory,
        jobs: JobStore,
        app: Celery,
        result_ttl_s: float,
    ) -> None:
        self._catalogue = catalogue
        self._directory = directory
        self._jobs = jobs
        self._app = app
        self._result_ttl_s = result_ttl_s

    def accept(self, job: Job) -> Accepted:
        """Resolve the model, plan the job and store it.

        Raises:
            ModelNotFound, ModelLoading, ModelLoadFailed, NoWorker: as in `routing`.
            redis.RedisError: Redis is away.
        """
        spec = routing.resolve(job.model, self._catalogue)
        routing.require_worker(spec, self._directory)
        job = replace(job, model=spec.id)
        rank = RANK[job.priority]
        steps = [self._planned(request, rank) for request in PLANS[job.mode](job)]
        keep_s = self._result_ttl_s if job.asynchronous else SYNC_TTL_S
        self._jobs.store(job, steps, rank, keep_s)
        return Accepted(job, tuple(step.signature for step in steps))

    def start(self, accepted: Accepted) -> None:
        """Put the job's first messages on their queues, once.

        Raises:
            kombu.exceptions.OperationalError: Redis is away; the record stays, unstarted.
        """
        for signature in accepted.signatures:
            Signature.from_dict(dict(signature), app=self._app).apply_async()

    def _planned(self, request: StepRequest, rank: int) -> PlannedStep:
        signature = self._app.signature(
            generate_task(request.model),
            args=(request.to_dict(),),
            queue=model_queue(request.model),
            routing_key=model_queue(request.model),
            priority=rank,
            task_id=f"{request.job_id}|{request.step}",
            argsrepr=request.step,  # what Flower shows; Celery's own takes longer than sending
            kwargsrepr="",
        )
        return PlannedStep(request, dict(signature))
