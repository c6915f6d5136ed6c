"""One exchange: a job that is accepted, read to its end, and cancelled if nobody wants it."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestration.submit import Submitter
from web.departures import Departures
from web.errors import broker_unavailable
from web.live import Hub, Reader
from workers.contract.errors import JobCancelled, RequestTimeout
from workers.contract.events import Cancelled, Event, Failed, Token
from workers.contract.job import Job
from workers.jobs import JobStore

log = logging.getLogger(__name__)

#: A plain answer and a first token come at least this long before the callers' own timeout.
MARGIN_S = 2.0
#: Stored with the job: the reader knows it without looking.
_QUEUED_SEQ = 1


class Exchange:
    """A job and its one reader."""

    def __init__(self, job: Job, reader: Reader, jobs: JobStore, timeout_s: float) -> None:
        self.job = job
        self._reader = reader
        self._jobs = jobs
        self._timeout_s = timeout_s
        self._answer_by = time.monotonic() + timeout_s - MARGIN_S
        self._ended = False

    @property
    def seq(self) -> int:
        """Number of the last event read."""
        return self._reader.seq

    def position(self) -> int | None:
        """The job's place in its queue, where it waits and Redis can tell."""
        try:
            return self._jobs.position(self.job.id)
        except RedisError:
            return None

    def before_first_token(self, patience_s: float) -> list[Event] | None:
        """The events up to the first token or the end; None where `patience_s` passed first.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: the time for a first token is over; the job is cancelled.
        """
        patient_until = time.monotonic() + patience_s
        while True:
            now = time.monotonic()
            if now >= self._answer_by:
                raise self._too_late("No token came within the request timeout.")
            if now >= patient_until:
                return None
            events = self._batch(min(self._answer_by, patient_until) - now)
            if self._ended or any(isinstance(event, Token) for event in events):
                return events

    def rest(self) -> Iterator[list[Event]]:
        """What comes behind the first token, in batches, up to the terminal event.

        Raises:
            InferenceError: the job failed, or was cancelled.
            RequestTimeout: no token came for the request timeout; the job is cancelled.
        """
        while not self._ended:
            quiet_since = time.monotonic()
            while not (events := self._batch(self._timeout_s)):
                if time.monotonic() - quiet_since >= self._timeout_s:
                    raise self._too_late("The stream stood still for the request timeout.")
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
                raise self._too_late("The answer was not there within the request timeout.")
            events += self._batch(left_s)
        return events

    def abandon(self, reason: str) -> None:
        """Cancel the job unless it has ended: nobody reads it any longer."""
        if self._ended:
            return
        try:
            self._jobs.cancel(self.job.id, reason)
        except RedisError as error:
            log.warning("%s cannot be cancelled while Redis is away: %s", self.job.id, error)

    def _batch(self, timeout_s: float) -> list[Event]:
        """Events that are news; an empty list where there were none."""
        events = self._reader.batch(timeout_s)
        if not events or events[-1].seq == 0 or events[-1].type == "heartbeat":
            return []
        last = events[-1]
        if isinstance(last, Failed):
            self._ended = True
            raise last.exception()
        if isinstance(last, Cancelled):
            self._ended = True
            raise JobCancelled(f"The job was cancelled: {last.reason}.")
        self._ended = last.type == "completed"
        return events

    def _too_late(self, what: str) -> RequestTimeout:
        self.abandon("request timeout")
        return RequestTimeout(what, details={"timeout_s": self._timeout_s})


class Exchanges:
    """Opens exchanges."""

    def __init__(
        self,
        submitter: Submitter,
        jobs: JobStore,
        hub: Hub,
        departures: Departures,
        timeout_s: float,
    ) -> None:
        self._submitter = submitter
        self._jobs = jobs
        self._hub = hub
        self._departures = departures
        self._timeout_s = timeout_s

    @contextlib.contextmanager
    def open(self, job: Job, connection: socket.socket | None) -> Iterator[Exchange]:
        """Accept a job, start it and read it; leaving the block early cancels it.

        Raises:
            InferenceError: as `Submitter.accept`.
            BrokerUnavailable: Redis is away; nothing was started.
        """
        accepted = self._submitter.accept(job)
        job = accepted.job
        with self._hub.reader(job.id, after_seq=_QUEUED_SEQ) as reader:
            exchange = Exchange(job, reader, self._jobs, self._timeout_s)
            try:
                self._submitter.start(accepted)
            except OperationalError as error:
                exchange.abandon("it could not be put on its queue")
                raise broker_unavailable() from error
            with self._departures.watching(connection, lambda: exchange.abandon("client left")):
                try:
                    yield exchange
                finally:
                    exchange.abandon("client left")
