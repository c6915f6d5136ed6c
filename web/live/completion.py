"""A live completion: a job that is read to its end, and cancelled if nobody wants it any longer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence

from redis.exceptions import RedisError

from orchestration.routing import resolve
from orchestration.semantic.lookup import Hit, Lookup
from web.live.answer_keeping import AnswerKeeping
from web.live.opening import Dependencies, Opening
from workers.contract.errors import (
    FrontEndStopping,
    JobCancelled,
    JobNotFound,
    RequestTimeout,
)
from workers.contract.events import TERMINAL, Cancelled, Event, Failed, Started, Token
from workers.contract.job import Job
from workers.contract.step import is_answer
from workers.store.admission import Idempotency

log = logging.getLogger(__name__)

#: A plain answer and a first token come at least this long before the callers' own timeout.
MARGIN_S = 2.0
#: Without a token for this long the connection is kept alive by something else.
PATIENCE_S = 10.0


class LiveCompletion:
    """A job and its one reader."""

    def __init__(
        self, dependencies: Dependencies, opening: Opening, idempotency: Idempotency | None
    ) -> None:
        self._dependencies = dependencies
        self._opening = opening
        self._idempotency = idempotency
        self._answer_by = time.monotonic() + dependencies.timeout_s - MARGIN_S
        self._left = threading.Event()
        #: This front end ends before the answer does.
        self._stopped = False
        #: Its caller has been given something, with the job's id: it can read on elsewhere.
        self._begun = False
        self._leaving = threading.Lock()
        #: The event that ended its job, once it was read.
        self.end: Event | None = None
        self._opened_at = time.perf_counter()
        #: Milliseconds from its opening to the first token of the answer; None before.
        self.first_token_ms: float | None = None
        #: Events that were read and not given out yet.
        self._gathered: list[Event] = []
        #: Where the job ended with an error: its last events, the end among them, which no reader
        #: was given.
        self.unread: list[Event] = []
        self._answer_keeping = AnswerKeeping(dependencies.semantic)

    @property
    def job(self) -> Job:
        """The job; its id and model may change when it is accepted."""
        return self._opening.job

    @property
    def queue_position(self) -> int | None:
        """Its place in the queue when it was accepted; None where a worker was free for it."""
        return self._opening.queue_position

    @property
    def replayed(self) -> bool:
        """Whether the caller's Idempotency-Key stood for its job already."""
        return self._opening.replayed

    @property
    def joined(self) -> bool:
        """Whether its job is another request's, which asked the same a moment before."""
        return self._opening.joined

    @property
    def lookup(self) -> Lookup | None:
        """What became of the lookup in the semantic cache; None where it was not asked."""
        return self._opening.lookup

    @property
    def accepted(self) -> bool:
        """Whether its job was accepted; a full service may let it wait for that."""
        return self._opening.reader is not None

    @property
    def seq(self) -> int:
        """Number of the last event read."""
        return 0 if self._opening.reader is None else self._opening.reader.seq

    def progress(self) -> str:
        """What it waits for, as far as Redis knows."""
        if not self.accepted:
            return "waiting to be accepted"
        jobs, directory = self._dependencies.jobs, self._dependencies.directory
        try:
            record = jobs.record(self.job.id)
            queued = jobs.queue_position(record) if record else None
            if queued is None:
                return "working"
            position, model = queued
            loaded = resolve.load_progress(model, directory)
        except RedisError:
            return "working"
        if loaded is not None and not directory.serving(model):
            return f"loading {loaded:.0%}"
        return f"queued position={position}"

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
                self._answer_by = time.monotonic() + self._dependencies.timeout_s - MARGIN_S
            if self.end is not None or any(_is_first(event, of_steps) for event in events):
                gathered, self._gathered = self._gathered, []
                self._begun = True
                return gathered

    def rest(self) -> Iterator[list[Event]]:
        """What comes after the first token, in batches, up to the terminal event.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: no token came for the request timeout; the job is cancelled.
        """
        timeout_s = self._dependencies.timeout_s
        while self.end is None:
            quiet_since = time.monotonic()
            while not (events := self._batch(timeout_s)):
                if time.monotonic() - quiet_since >= timeout_s:
                    raise self._too_late("The stream stood still for the request timeout")
            yield events

    def answer(self) -> list[Event]:
        """Every event of the answer, when it has ended.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: the answer is not there in time; the job is cancelled.
        """
        events: list[Event] = []
        while self.end is None:
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
        # Steps are shown as they come; a single one may let its first token wait.
        while (first := self.before_first_token(PATIENCE_S, of_steps=bool(self.job.cast))) is None:
            yield []
        yield first
        yield from self.rest()

    def stop(self) -> None:
        """End it, because this front end ends; who reads it gets FrontEndStopping."""
        self._stopped = True
        self._opening.abandon()
        if self._opening.reader is not None:
            self._opening.reader.stop()

    def leave(self, reason: str = "client left") -> None:
        """Read it no longer: cancel the job, unless others read it, or may come back for it."""
        with self._leaving:  # a disconnect and a timeout may come together: it is one reader
            if self.end is not None or self._left.is_set():
                return
            self._left.set()
        self._opening.abandon()
        if not self.accepted or isinstance(self.lookup, Hit):
            return
        jobs, job_id = self._dependencies.jobs, self.job.id
        try:
            if self._opening.shared and jobs.leave(job_id) > 0:
                return  # others read it
            if self._stopped and self._begun:
                jobs.release(job_id)  # it is read on elsewhere
            elif self._idempotency is None:
                jobs.cancel(job_id, reason)
            elif not self.replayed:
                jobs.release(job_id)
        except RedisError as error:
            log.warning("%s cannot be cancelled while Redis is unavailable: %s", job_id, error)

    def cancel(self, reason: str) -> None:
        """Cancel the job; its end is read as any other.

        Raises:
            redis.RedisError: Redis is away.
        """
        self._dependencies.jobs.cancel(self.job.id, reason)

    def _batch(self, timeout_s: float) -> list[Event]:
        """New events; an empty list where there were none."""
        reader = self._opening.reader
        if reader is None:
            try:
                self._opening.wait(timeout_s)
            except JobCancelled:
                if self._stopped:
                    raise self._stopping() from None
                raise
            return []
        events = reader.batch(timeout_s)
        if not events and self._stopped:
            raise self._stopping()
        if not events and reader.gone:
            raise JobNotFound(f"{self.job.id} was deleted while it was read.")
        if not events or events[-1].seq == 0 or events[-1].type == "heartbeat":
            return []
        self._note(events)
        if isinstance(self.end, Failed | Cancelled):
            self.unread = events
        match self.end:
            case Failed() as failed:
                raise failed.exception()
            case Cancelled(reason=reason):
                raise JobCancelled(f"The job was cancelled: {reason}.", details={"reason": reason})
        return self._answer_keeping.with_lookup(self.job, self.lookup, events)

    def _note(self, events: Sequence[Event]) -> None:
        """Keep what is told of the request at its end."""
        if self.first_token_ms is None and any(_is_first(event, False) for event in events):
            self.first_token_ms = (time.perf_counter() - self._opened_at) * 1e3
        if isinstance(events[-1], TERMINAL):
            self.end = events[-1]

    def _stopping(self) -> FrontEndStopping:
        if not self._begun:
            return FrontEndStopping("This front end is being stopped. Ask again.")
        return FrontEndStopping(
            f"This front end is being stopped; the job goes on. Read on at GET /v1/jobs/"
            f"{self.job.id}/events with the header Last-Event-ID: {self.seq}.",
            details={"job_id": self.job.id, "last_event_id": self.seq},
        )

    def _too_late(self, what: str) -> RequestTimeout:
        timeout_s = self._dependencies.timeout_s
        if self.accepted and self._idempotency is None:
            self.leave("request timeout")
        return RequestTimeout(
            f"{what} of {timeout_s:g} s (INFERENCE_REQUEST_TIMEOUT). Submit a job to POST "
            "/v1/jobs, or ask for fewer tokens.",
            details={"timeout_s": timeout_s},
        )


def _is_first(event: Event, of_steps: bool) -> bool:
    """Whether this event is the first thing that a caller is shown."""
    if of_steps and isinstance(event, Started):
        return True
    return isinstance(event, Token) and is_answer(event.step)
