"""One exchange: a job that is accepted, read to its end, and cancelled if nobody wants it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestration.routing import resolve
from orchestration.submit import Attached, Submitter
from web.errors import broker_unavailable
from web.live.hub import Hub, Reader
from web.live.slots import Slots
from web.live.waiting_line import Ticket, WaitingLine
from workers.cluster.directory import Directory
from workers.contract.errors import JobCancelled, QueueFull, RequestTimeout
from workers.contract.events import Cancelled, Event, Failed, Started, Token
from workers.contract.job import Job
from workers.contract.step import is_answer
from workers.store.admission import Idempotency
from workers.store.jobs import JobStore

log = logging.getLogger(__name__)

#: A plain answer and a first token come at least this long before the callers' own timeout.
MARGIN_S = 2.0
#: Without a token for this long the line is kept alive by something else.
PATIENCE_S = 10.0
#: Stored with the job: the reader knows it without looking.
_QUEUED_SEQ = 1
#: Seconds between two attempts to be let in.
_KNOCK_S = 0.05


@dataclass(frozen=True, slots=True)
class Shared:
    """What all live_completions of a front end work with."""

    submitter: Submitter
    jobs: JobStore
    directory: Directory
    hub: Hub
    slots: Slots
    line: WaitingLine
    timeout_s: float
    #: A request that finds everything taken is refused; else it waits to be let in.
    reject_when_full: bool


class LiveCompletion:
    """A job and its one reader."""

    def __init__(self, shared: Shared, job: Job, idempotency: Idempotency | None) -> None:
        self.job = job
        #: Its place in the queue when it was accepted; None where a worker was free for it.
        self.queue_position: int | None = None
        #: The caller's Idempotency-Key stood for its job already.
        self.replayed = False
        self._shared = shared
        self._idempotency = idempotency
        self._answer_by = time.monotonic() + shared.timeout_s - MARGIN_S
        self._reader: Reader | None = None
        self._ticket: Ticket | None = None
        self._held = contextlib.ExitStack()
        self._left = threading.Event()
        self._ended = False
        #: Events that were read and not given out yet.
        self._gathered: list[Event] = []

    @property
    def entered(self) -> bool:
        """Whether its job was accepted; a full service may let it wait for that."""
        return self._reader is not None

    @property
    def seq(self) -> int:
        """Number of the last event read."""
        return 0 if self._reader is None else self._reader.seq

    def whereabouts(self) -> str:
        """What it waits for, as far as Redis can tell."""
        if self._reader is None:
            return "waiting to be let in"
        try:
            record = self._shared.jobs.record(self.job.id)
            place = self._shared.jobs.place(record) if record else None
            if place is None:
                return "working"
            position, model = place
            progress = resolve.load_progress(model, self._shared.directory)
        except RedisError:
            return "working"
        if progress is not None and not self._shared.directory.serving(model):
            return f"loading {progress:.0%}"
        return f"queued position={position}"

    def enter(self) -> bool:
        """Accept and start the job; False where it must wait to be let in.

        Raises:
            InferenceError: as `Submitter.accept`.
        """
        try:
            accepted = self._shared.submitter.accept(self.job, self._idempotency)
        except QueueFull:
            if self._shared.reject_when_full:
                raise
            if self._ticket is None:
                self._ticket = self._shared.line.join(self.job.priority)
            return False
        self.job = accepted.job
        hub = self._shared.hub
        reader = self._held.enter_context(hub.reader(self.job.id, after_seq=_QUEUED_SEQ))
        if isinstance(accepted, Attached):
            self.replayed = True
            reader.put(None)  # what is stored already is read at once
        else:
            self._held.enter_context(self._shared.slots.holding(self.job.id))
            self.queue_position = accepted.position if accepted.queues else None
            try:
                self._shared.submitter.start(accepted)
            except OperationalError as error:
                self._undo()
                raise broker_unavailable() from error
        self._reader = reader
        return True

    def before_first_token(
        self, patience_s: float, *, of_steps: bool = False
    ) -> list[Event] | None:
        """The events up to the first token or the end; None where `patience_s` passed first.

        With `of_steps` a step's beginning counts like a token of the answer. A job of several
        steps may take its time, as long as one after the other moves.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: the time for a first token is over; the job is cancelled.
        """
        patient_until = time.monotonic() + patience_s
        while True:
            now = time.monotonic()
            if now >= self._answer_by:
                raise self._too_late("No token came within the request timeout")
            if now >= patient_until:
                return None
            events = self._batch(min(self._answer_by, patient_until) - now)
            self._gathered += events
            if events and self.job.cast:
                self._answer_by = time.monotonic() + self._shared.timeout_s - MARGIN_S
            if self._ended or any(_counts(event, of_steps) for event in events):
                gathered, self._gathered = self._gathered, []
                return gathered

    def rest(self) -> Iterator[list[Event]]:
        """What comes behind the first token, in batches, up to the terminal event.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: no token came for the request timeout; the job is cancelled.
        """
        while not self._ended:
            quiet_since = time.monotonic()
            while not (events := self._batch(self._shared.timeout_s)):
                if time.monotonic() - quiet_since >= self._shared.timeout_s:
                    raise self._too_late("The stream stood still for the request timeout")
            yield events

    def answer(self) -> list[Event]:
        """Every event of the answer, when it has ended.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: the answer is not there in time; the job is cancelled.
        """
        events: list[Event] = []
        while not self._ended:
            left_s = self._answer_by - time.monotonic()
            if left_s <= 0:
                raise self._too_late("The answer was not there within the request timeout")
            events += self._batch(left_s)
        return events

    def events(self) -> Iterator[list[Event]]:
        """Every event from the acceptance on; an empty list now and then where none comes.

        Raises:
            InferenceError: as `before_first_token` and `rest`.
        """
        # Steps are told as they come; a single one may let its first token wait.
        while (first := self.before_first_token(PATIENCE_S, of_steps=bool(self.job.cast))) is None:
            yield []
        yield first
        yield from self.rest()

    def leave(self) -> None:
        """Nobody reads it any longer: cancel the job, unless somebody may come back for it."""
        if self._ended or self._left.is_set():
            return
        self._left.set()
        if self._reader is None:
            return
        try:
            if self._idempotency is None:
                self._shared.jobs.cancel(self.job.id, "client left")
            elif not self.replayed:
                self._shared.jobs.release(self.job.id)
        except RedisError as error:
            log.warning("%s cannot be cancelled while Redis is away: %s", self.job.id, error)

    def cancel(self, reason: str) -> None:
        """Cancel the job; its end is read as any other.

        Raises:
            redis.RedisError: Redis is away.
        """
        self._shared.jobs.cancel(self.job.id, reason)

    def close(self) -> None:
        """Let go of everything; the job goes on or has ended."""
        self._held.close()
        self._leave_line()

    def _leave_line(self) -> None:
        if self._ticket is not None:
            self._shared.line.leave(self._ticket)
            self._ticket = None

    def _batch(self, timeout_s: float) -> list[Event]:
        """Events that are news; an empty list where there were none."""
        if self._reader is None:
            self._wait_outside(timeout_s)
            return []
        events = self._reader.batch(timeout_s)
        if not events or events[-1].seq == 0 or events[-1].type == "heartbeat":
            return []
        last = events[-1]
        if isinstance(last, Failed):
            self._ended = True
            raise last.exception()
        if isinstance(last, Cancelled):
            self._ended = True
            raise JobCancelled(
                f"The job was cancelled: {last.reason}.", details={"reason": last.reason}
            )
        self._ended = last.type == "completed"
        return events

    def _wait_outside(self, timeout_s: float) -> None:
        """Wait to be let in, at most `timeout_s`."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            if self._left.is_set():
                raise JobCancelled("The client left before its request was let in.")
            if self._ticket is None or self._shared.line.is_first(self._ticket, left_s):
                if self.enter():
                    self._leave_line()
                    return
                self._left.wait(min(_KNOCK_S, left_s))

    def _undo(self) -> None:
        """Take back what was stored and could not be started; it may be asked for again."""
        with contextlib.suppress(RedisError):
            self._shared.jobs.cancel(self.job.id, "it could not be put on its queue")
            if self._idempotency is not None:
                self._shared.jobs.forget(self._idempotency)

    def _too_late(self, what: str) -> RequestTimeout:
        timeout_s = self._shared.timeout_s
        timeout = RequestTimeout(
            f"{what} of {timeout_s:g} s (INFERENCE_REQUEST_TIMEOUT). Submit a job to POST "
            "/v1/jobs, or ask for fewer tokens.",
            details={"timeout_s": timeout_s},
        )
        if self._reader is not None and self._idempotency is None:
            with contextlib.suppress(RedisError):
                self._shared.jobs.cancel(self.job.id, "request timeout")
        return timeout


def _counts(event: Event, of_steps: bool) -> bool:
    """Whether this event is the first thing that a caller is told."""
    if of_steps and isinstance(event, Started):
        return True
    return isinstance(event, Token) and is_answer(event.step)
