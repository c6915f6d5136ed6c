"""Opening a completion: its job is accepted at once, or waits in line until there is room."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

from orchestration.semantic.eligibility import CacheWishes
from orchestration.semantic.lookup import Hit, Lookup, SemanticLookup, Skip
from orchestration.submit import Attached, Submitter
from web import request_record
from web.live.hub import Hub, Reader
from web.live.slots import Slots
from web.live.stored_reader import StoredReader
from web.live.waiting_line import Ticket, WaitingLine
from workers.cluster.directory import Directory
from workers.contract.errors import JobCancelled, QueueFull
from workers.contract.job import Job
from workers.store.admission import Idempotency
from workers.store.jobs import JobStore
from workers.tracing import recording
from workers.tracing.span import Span, id_of

#: Stored with the job: the reader knows it without looking.
_QUEUED_SEQ = 1
#: Seconds between two attempts of the first in line.
_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What every live completion of a front end works with."""

    submitter: Submitter
    jobs: JobStore
    directory: Directory
    hub: Hub
    slots: Slots
    line: WaitingLine
    #: None: INFERENCE_SEMANTIC_CACHE is off.
    semantic: SemanticLookup | None
    #: INFERENCE_REQUEST_TIMEOUT.
    timeout_s: float
    #: A request that finds everything taken is refused; else it waits in line.
    reject_when_full: bool


class Opening:
    """A job on its way in. Once it is accepted there is a reader of its events."""

    def __init__(
        self,
        dependencies: Dependencies,
        job: Job,
        idempotency: Idempotency | None,
        *,
        may_share: bool = False,
        wishes: CacheWishes | None = None,
    ) -> None:
        """`may_share`: see `Submitter.accept_settled`. `wishes`: what the request says of the
        semantic cache; None: it is not asked.
        """
        #: As it was sent; once accepted, as it is stored.
        self.job = job
        #: Its place in the queue when it was accepted; None where a worker was free for it.
        self.queue_position: int | None = None
        #: The caller's Idempotency-Key stood for its job already.
        self.replayed = False
        #: Another request asked the same a moment before, and its job is this one's.
        self.joined = False
        #: Other requests may read its job, too.
        self.shared = False
        #: What became of the lookup in the semantic cache; None where it was not asked.
        self.lookup: Lookup | None = None
        #: None while the job waits in line.
        self.reader: Reader | StoredReader | None = None
        self._dependencies = dependencies
        self._idempotency = idempotency
        self._may_share = may_share
        self._wishes = wishes
        self._ticket: Ticket | None = None
        self._began_ns = time.time_ns()
        self._abandoned = threading.Event()
        self._held = contextlib.ExitStack()

    def attempt(self) -> bool:
        """Accept and start the job; False where it must wait in line.

        Raises:
            InferenceError: as `Submitter.settle`, `Submitter.accept_settled` and
                `Submitter.start`.
        """
        dependencies = self._dependencies
        try:
            began_ns = time.time_ns()
            settled = dependencies.submitter.settle(self.job)
            self._look_up(settled)
            if isinstance(self.lookup, Hit):
                self.job = settled
                request_record.asks_for(settled)
                self.reader = StoredReader(self.lookup.events)
                return True
            accepted = dependencies.submitter.accept_settled(
                settled, self._idempotency, began_ns=began_ns, may_share=self._may_share
            )
        except QueueFull:
            if dependencies.reject_when_full:
                raise
            if self._ticket is None:
                self._ticket = dependencies.line.join(self.job.priority)
            return False
        self.job = accepted.job
        request_record.asks_for(self.job)
        # Before the start: no event can come that the reader does not get.
        reader = self._held.enter_context(
            dependencies.hub.reader(self.job.id, after_seq=_QUEUED_SEQ)
        )
        if isinstance(accepted, Attached):
            self.joined = self.shared = accepted.joined
            self.replayed = not accepted.joined
            if self.joined:
                self._held.enter_context(dependencies.slots.holding(self.job.id))
            reader.put(None)  # what is stored already is read at once
        else:
            self.shared = accepted.shared
            self._held.enter_context(dependencies.slots.holding(self.job.id))
            self.queue_position = accepted.position if accepted.queues else None
            dependencies.submitter.start(accepted)
        self.reader = reader
        return True

    def _look_up(self, job: Job) -> None:
        """Ask the semantic cache, once: who waits in line asks no more."""
        semantic, wishes = self._dependencies.semantic, self._wishes
        if semantic is None or wishes is None or self.lookup is not None:
            return
        if self._idempotency is None:
            self.lookup = semantic.look(job, wishes)
        else:  # its answer is kept, and given again, by its key
            self.lookup = Skip("idempotency_key")

    def wait(self, timeout_s: float) -> None:
        """Wait in line until the job is accepted, at most `timeout_s`.

        Raises:
            JobCancelled: nobody waits for it any longer.
            InferenceError: as `attempt`.
        """
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            if self._abandoned.is_set():
                raise JobCancelled("The client left before its request was accepted.")
            if self._ticket is None or self._dependencies.line.is_first(self._ticket, left_s):
                if self.attempt():
                    self._leave_line()
                    self._record_wait()
                    return
                self._abandoned.wait(min(_RETRY_S, left_s))

    def _record_wait(self) -> None:
        job = self.job
        if job.trace is not None and recording.is_recorded(job.trace):
            span_id = id_of(job.id, "wait in line")
            recording.record(
                Span("wait in line", span_id, job.trace, self._began_ns, time.time_ns())
            )

    def abandon(self) -> None:
        """Let `wait` end: nobody waits for this job any longer."""
        self._abandoned.set()

    def close(self) -> None:
        """Let go of the reader, the slot and the place in line."""
        self._held.close()
        self._leave_line()

    def _leave_line(self) -> None:
        if self._ticket is not None:
            self._dependencies.line.leave(self._ticket)
            self._ticket = None
