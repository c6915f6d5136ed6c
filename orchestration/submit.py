"""From an accepted request to a message in its model's queue."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestration import coalescing, sampling_extras
from orchestration.admission import Admission
from orchestration.mode_selection import ModeSelector
from orchestration.modes.base import Mode
from orchestration.rounds import dispatch
from orchestration.routing import resolve
from orchestration.routing.router import Router
from presets.catalogue import Catalogue
from workers.cluster.directory import Directory
from workers.contract.errors import BrokerUnavailable, IdempotencyConflict, JobNotFound
from workers.contract.job import Job
from workers.contract.step import ORCHESTRATOR
from workers.store.admission import (
    IN_MEMORY,
    Durability,
    Full,
    Idempotency,
    Joined,
    Known,
    NotDurable,
    OverShare,
    Stored,
    Terms,
)
from workers.store.jobs import JobStore
from workers.store.planned import PlannedStep
from workers.tracing import recording
from workers.tracing.span import Attribute, Span, id_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job whose record is stored and whose messages are not sent yet."""

    job: Job
    steps: tuple[PlannedStep, ...]
    #: The queue priority of its messages: 0 runs first, 9 last.
    rank: int
    #: Its place in its model's queue, 1 the next.
    position: int
    #: Seconds until it begins; 0 where a worker is free, None where that is unknown.
    wait_s: float | None
    #: What its caller's Idempotency-Key stands for.
    idempotency: Idempotency | None = None
    #: Other requests that ask the same may read it, too.
    shared: bool = False
    #: When its acceptance began: Unix time in nanoseconds.
    began_ns: int = 0

    @property
    def queues(self) -> bool:
        """No worker is free for it now."""
        return self.wait_s != 0


@dataclass(frozen=True, slots=True)
class Attached:
    """A job that was accepted before is this one, too: by the caller's Idempotency-Key, or since
    another request asks the same at the same moment.
    """

    job: Job
    #: Another request's, which asks the same.
    joined: bool = False


class Submitter:
    """Accepts jobs and starts them."""

    def __init__(
        self,
        catalogue: Catalogue,
        directory: Directory,
        jobs: JobStore,
        app: Celery,
        admission: Admission,
        router: Router,
        mode_selector: ModeSelector,
        modes: Mapping[str, Mode],
        *,
        durability: Durability = IN_MEMORY,
        coalesce: bool = False,
        load_on_demand: bool = False,
    ) -> None:
        self._catalogue = catalogue
        self._directory = directory
        self._jobs = jobs
        self._app = app
        self._admission = admission
        self._router = router
        self._mode_selector = mode_selector
        self._modes = modes
        self._durability = durability
        self._coalesce = coalesce
        self._load_on_demand = load_on_demand

    def settle(self, job: Job) -> Job:
        """The job with its model routed or resolved, its mode and its cast; nothing is stored.

        Raises:
            ModelNotFound, NoWorker: as `Router.route`.
            ModelNotFound, ValidationFailed: as `ModeSelector.of_preset`.
            WrongModelKind: the model does something else than the job asks for.
            ModelNotFound, ModelLoading, ModelLoadFailed, InsufficientMemory, NoWorker: as in
                `routing`, of every model that takes part.
            NotEnoughModels: as `ModeSelector.select`.
            UnsupportedParameter, ValidationFailed: as `sampling_extras.require`.
            redis.RedisError: Redis is away.
        """
        job, preset = self._mode_selector.of_preset(job)
        if route := self._router.route(job):
            job = replace(job, model=route.model, routing=route.to_dict())
        spec = resolve.resolve(job.model, self._catalogue)
        kind = resolve.kind_for(job)
        resolve.require_kind(spec, kind)
        job = self._mode_selector.select(job, spec, preset)
        names = dict.fromkeys([job.model, *(part.model for part in job.cast)])
        models = [self._catalogue.get(name) for name in names]
        sampling_extras.require(job, models)
        for model in models:
            resolve.require_kind(model, kind)
            resolve.require_worker(model, self._directory, on_demand=self._load_on_demand)
        return job

    def accept(self, job: Job, idempotency: Idempotency | None = None) -> Accepted | Attached:
        """Settle a job, plan its first round, and store it.

        Raises:
            InferenceError: as `settle` and `accept_settled`.
            redis.RedisError: Redis is away.
        """
        began_ns = time.time_ns()
        return self.accept_settled(self.settle(job), idempotency, began_ns=began_ns)

    def accept_settled(
        self,
        job: Job,
        idempotency: Idempotency | None = None,
        *,
        began_ns: int,
        may_share: bool = False,
    ) -> Accepted | Attached:
        """Plan the first round of a job that is settled, and store it.

        `began_ns`: when settling began. `may_share`: where requests are coalesced it may be one
        that runs already, and other requests may read it.

        Raises:
            TemporaryResource, DeadlineUnreachable: as `Admission.terms`.
            TemporaryResource: its API key's jobs take as many bytes as they may.
            QueueFull: as many jobs of its kind are there as may be.
            IdempotencyConflict: the key stands for another body.
            BrokerUnavailable: Redis cannot put it on disk, though it is set to.
            redis.RedisError: Redis is away.
        """
        terms = self._admission.terms(job, idempotency)
        if self._coalesce and may_share and idempotency is None:
            terms = replace(terms, alike=coalescing.digest(job))
        first = self._modes[job.mode].plan(job)
        steps = dispatch.plan(self._app, job, 1, first, with_readers=not first.steps)
        match self._store_in_share(job, steps, terms):
            case OverShare() as over:
                raise self._admission.refusal_of_share(over, terms.stored_limit or 0)
            case Full() as full:
                raise self._admission.refusal(job, full)
            case Known() as known:
                return self._attached(known)
            case Joined(job_id):
                record = self._jobs.record(job_id)
                if record is None:
                    raise JobNotFound(f"{job_id} is no longer kept.")
                return Attached(record.job, joined=True)
            case Stored() as stored:
                accepted = self._accepted(job, steps, stored, idempotency)
                return replace(accepted, began_ns=began_ns, shared=terms.alike is not None)

    def start(self, accepted: Accepted) -> None:
        """Put the job's first messages on their queues, once.

        A job that cannot be started is taken back: it is cancelled, and its Idempotency-Key is
        free again.

        Raises:
            BrokerUnavailable: Redis is away.
        """
        try:
            dispatch.send(self._app, accepted.steps, accepted.rank)
        except OperationalError as error:
            with contextlib.suppress(RedisError):  # the keeper then sends what is stored
                self._take_back(
                    accepted.job, accepted.idempotency, "it could not be put on its queue"
                )
            raise BrokerUnavailable from error
        _record(accepted)

    def _store_in_share(
        self, job: Job, steps: Sequence[PlannedStep], terms: Terms
    ) -> Stored | Full | Known | Joined | OverShare:
        """Store a job; where its key's share is used up, the key's oldest results go first."""
        stored = self._store(job, steps, terms)
        if not isinstance(stored, OverShare) or job.owner is None or terms.stored_limit is None:
            return stored
        room = terms.stored_limit - stored.own
        if room < 0 or self._jobs.make_room(job.owner, room) > room:
            return stored
        return self._store(job, steps, terms)

    def _store(
        self, job: Job, steps: Sequence[PlannedStep], terms: Terms
    ) -> Stored | Full | Known | Joined | OverShare:
        try:
            durability = self._durability if job.asynchronous else IN_MEMORY
            return self._jobs.store(job, steps, terms, durability)
        except NotDurable as error:
            self._take_back(job, terms.idempotency, "it was not put where it must be")
            raise BrokerUnavailable(f"{error}. Nothing was accepted.") from error

    def _take_back(self, job: Job, idempotency: Idempotency | None, reason: str) -> None:
        """Cancel a job that is stored; its Idempotency-Key may come again."""
        self._jobs.cancel(job.id, reason)
        if idempotency is not None:
            self._jobs.forget(idempotency)

    def _accepted(
        self,
        job: Job,
        steps: Sequence[PlannedStep],
        stored: Stored,
        idempotency: Idempotency | None,
    ) -> Accepted:
        first = steps[0].request.model
        if first == ORCHESTRATOR:  # what is decided first is counted, and takes a moment
            first = job.model
        capacity = self._admission.capacity(first)
        wait_s: float | None = 0.0
        if stored.position > max(0, capacity - stored.running):
            wait_s = self._admission.wait_s(first, stored.position)
        return Accepted(job, tuple(steps), stored.rank, stored.position, wait_s, idempotency)

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


def _record(accepted: Accepted) -> None:
    """Record how a job was routed, planned, stored and queued."""
    job = accepted.job
    if job.trace is None or not recording.is_recorded(job.trace):
        return
    attributes: dict[str, Attribute] = {
        "inference.mode": job.mode,
        "inference.model": job.model,
        "inference.queue.position": accepted.position,
        "inference.queue.rank": accepted.rank,
    }
    if job.routing is not None:
        attributes["inference.routing.reason"] = job.routing["reason"]
    span_id = id_of(job.id, "accept")
    recording.record(
        Span("accept", span_id, job.trace, accepted.began_ns, time.time_ns(), attributes)
    )
