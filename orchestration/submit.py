"""From an accepted request to a message in its model's queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from celery import Celery
from celery.canvas import Signature

from orchestration import routing, single
from orchestration.admission import Admission
from presets.catalogue import Catalogue
from workers.admission import Full, Idempotency, Known, NotOnDisk, Stored, Terms
from workers.app import generate_task, model_queue
from workers.contract.errors import BrokerUnavailable, IdempotencyConflict, JobNotFound
from workers.contract.job import Job, StepRequest
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
    #: The queue priority of its messages: 0 runs first, 9 last.
    rank: int
    #: Its place in its model's queue, 1 the next.
    position: int
    #: Seconds until it begins; 0 where a worker is free, None where nobody can tell.
    wait_s: float | None

    @property
    def queues(self) -> bool:
        """No worker is free for it now."""
        return self.wait_s != 0


@dataclass(frozen=True, slots=True)
class Attached:
    """The caller's Idempotency-Key stands for a job that was accepted before."""

    job: Job


class Submitter:
    """Accepts jobs and starts them."""

    def __init__(
        self,
        catalogue: Catalogue,
        directory: Directory,
        jobs: JobStore,
        app: Celery,
        admission: Admission,
        *,
        fsync: bool,
    ) -> None:
        self._catalogue = catalogue
        self._directory = directory
        self._jobs = jobs
        self._app = app
        self._admission = admission
        self._fsync = fsync

    def accept(self, job: Job, idempotency: Idempotency | None = None) -> Accepted | Attached:
        """Resolve the model, plan the job and store it.

        Raises:
            ModelNotFound, ModelLoading, ModelLoadFailed, NoWorker: as in `routing`.
            TemporaryResource, DeadlineUnreachable: as `Admission.terms`.
            QueueFull: as many jobs of its kind are there as may be.
            IdempotencyConflict: the key stands for another body.
            BrokerUnavailable: Redis cannot put it on disk, though it is set to.
            redis.RedisError: Redis is away.
        """
        spec = routing.resolve(job.model, self._catalogue)
        routing.require_worker(spec, self._directory)
        job = replace(job, model=spec.id)
        terms = self._admission.terms(job, idempotency)
        steps = [self._planned(request) for request in PLANS[job.mode](job)]
        match self._store(job, steps, terms):
            case Full() as full:
                raise self._admission.refusal(job, full)
            case Known() as known:
                return self._attached(known)
            case Stored() as stored:
                return self._accepted(job, steps, stored)

    def start(self, accepted: Accepted) -> None:
        """Put the job's first messages on their queues, once.

        Raises:
            kombu.exceptions.OperationalError: Redis is away; the record stays, unstarted.
        """
        for signature in accepted.signatures:
            message = Signature.from_dict(dict(signature), app=self._app)
            message.apply_async(priority=accepted.rank)

    def _store(self, job: Job, steps: Sequence[PlannedStep], terms: Terms) -> Stored | Full | Known:
        try:
            on_disk = self._fsync and job.asynchronous
            return self._jobs.store(job, steps, terms, on_disk=on_disk)
        except NotOnDisk as error:
            self._jobs.cancel(job.id, "it was not put on disk")
            if terms.idempotency is not None:
                self._jobs.forget(terms.idempotency)
            raise BrokerUnavailable(
                f"INFERENCE_JOBS_FSYNC=true, and {error}. Nothing was accepted."
            ) from error

    def _accepted(self, job: Job, steps: Sequence[PlannedStep], stored: Stored) -> Accepted:
        capacity = self._admission.capacity(job.model)
        wait_s: float | None = 0.0
        if stored.position > max(0, capacity - stored.running):
            wait_s = self._admission.wait_s(job.model, stored.position)
        signatures = tuple(step.signature for step in steps)
        return Accepted(job, signatures, stored.rank, stored.position, wait_s)

    def _attached(self, known: Known) -> Attached:
        record = self._jobs.record(known.job_id)
        if not known.same_body:
            raise IdempotencyConflict(
                f"This Idempotency-Key came with another body before, for {known.job_id}. Send "
                "that body again, or take another key.",
                details={"job": known.job_id},
            )
        if record is None:
            raise JobNotFound(f"{known.job_id} is no longer kept.")
        return Attached(record.job)

    def _planned(self, request: StepRequest) -> PlannedStep:
        signature = self._app.signature(
            generate_task(request.model),
            args=(request.to_dict(),),
            queue=model_queue(request.model),
            routing_key=model_queue(request.model),
            task_id=f"{request.job_id}|{request.step}",
            argsrepr=request.step,  # what Flower shows; Celery's own takes longer than sending
            kwargsrepr="",
        )
        return PlannedStep(request, dict(signature))
