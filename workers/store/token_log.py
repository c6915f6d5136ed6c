"""The token log: a job's numbered events in a Redis stream, published as they are stored.

One script writes it (`lua/append.lua`). Generation threads hand entries to the worker's one
flusher thread, so that decoding never waits for Redis: the first token leaves at once, and what
gathers while a write is on its way leaves together in the next.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import events, keys
from workers.contract.events import Assessed, Event, Token
from workers.contract.job import JobState
from workers.contract.step import Outcome
from workers.contract.tools import join
from workers.lua.scripts import run
from workers.store.planned import dump

log = logging.getLogger(__name__)

#: Entries written by one call of the script at most, so that it never holds Redis for long.
BATCH = 256
#: Pause between two attempts to reach Redis, in seconds; tokens gather meanwhile.
RECONNECT_PAUSE_S = 0.1
#: Seconds that `TokenLog.stop` waits for what has gathered.
_WRITES_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on its way into a job's log, with what its writer may claim."""

    job_id: str
    event: Event
    #: The step that writes it; "" where none does (cancel, keeper).
    step: str = ""
    #: None: another process ends a step that has not ended.
    attempt: int | None = 0
    #: Number of the entry within the attempt, from 1: a repeated write is recognised by it.
    number: int = 0
    #: The state in which this event ends the job; None where it does not.
    ends_as: JobState | None = None
    #: The step's outcome, where the event ends the step.
    outcome: Outcome | None = None
    #: The step's whole text, where the event ends the step and another follows it.
    text: str = ""


def append(redis: Redis, entries: Sequence[Entry]) -> list[int]:
    """Append entries in order; returns each one's number in its job, 0 where it was refused.

    Raises:
        redis.RedisError: Redis cannot be reached; a repeated call does not write twice what a
            step wrote.
    """
    arguments: list[Any] = []
    for entry in entries:
        arguments += [
            entry.job_id,
            events.encode(entry.event),
            entry.step,
            "" if entry.attempt is None else entry.attempt,
            entry.number,
            entry.ends_as or "",
            json.dumps(entry.outcome.to_dict(), separators=(",", ":")) if entry.outcome else "",
            entry.text.encode(errors="replace"),
            *_noted(entry.event),
        ]
    numbers: list[int] = run(redis, "append", *arguments)
    return numbers


def _noted(event: Event) -> tuple[str, bytes]:
    """What an event tells that a step's record keeps: the field and its JSON; empty for others."""
    match event:
        case Assessed(findings={"validation": found}):
            return f"{event.step}:validation", dump(found)
        case Assessed(findings={"plan": plan}):
            return f"{event.step}:plan", dump(plan)
        case _:
            return "", b""


def read_events(redis: Redis, job_id: str, after_seq: int = 0) -> list[Event]:
    """The job's stored events after `after_seq`, in order; empty when there are none."""
    entries: Any = redis.xrange(keys.events(job_id), min=f"({after_seq}-0" if after_seq else "-")
    return [events.decode(fields[b"e"]) for _, fields in entries]


class StepWriter:
    """Writes for one attempt at one step. Its entries reach the log in the order it wrote them."""

    def __init__(self, log_: TokenLog, job_id: str, step: str, attempt: int) -> None:
        self._log = log_
        self._template = Entry(job_id, Event(0), step=step, attempt=attempt)
        self._written = 0
        #: Set when the log refused an entry: the job ended, or a newer attempt runs.
        self.refused = threading.Event()
        self._answered = 0
        self._news = threading.Condition()

    def write(self, event: Event) -> None:
        """Hand an event to the flusher and return at once."""
        self._log.put(self, self._entry(event))

    def settle_all(self) -> None:
        """Wait until Redis has answered to everything written, however long it is away."""
        with self._news:
            self._news.wait_for(lambda: self._answered >= self._written)

    def end(
        self,
        event: Event,
        before: Event | None = None,
        *,
        ends_as: JobState | None = None,
        outcome: Outcome | None = None,
        text: str = "",
    ) -> bool:
        """Write the step's last event and wait until Redis has it, however long Redis is away.

        What is given as `before` is written with it, both or neither. `text` is the step's whole
        text, where another step follows it. Returns False when it was refused.
        """
        first = [] if before is None else [self._entry(before)]
        last = self._entry(event, ends_as=ends_as, outcome=outcome, text=text)
        self._log.put(self, *first, last)
        self.settle_all()
        return not self.refused.is_set()

    def _entry(self, event: Event, **ending: Any) -> Entry:
        self._written += 1
        return replace(self._template, event=event, number=self._written, **ending)

    def settle(self, number: int, *, stored: bool) -> None:
        """The flusher's answer to the entries up to this number."""
        if not stored:
            self.refused.set()
        with self._news:
            self._answered = number
            self._news.notify_all()


@dataclass(slots=True)
class _Pending:
    writer: StepWriter
    entry: Entry


class TokenLog(BackgroundThread):
    """A worker's flusher: one thread and one connection for all of its generations."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("flusher", ends_within_s=_WRITES_WITHIN_S)
        self._redis = redis
        self._queue: queue.SimpleQueue[list[_Pending] | None] = queue.SimpleQueue()

    def stop(self) -> None:
        """Write what has gathered and end, or give up after two seconds."""
        self._queue.put(None)
        super().stop()

    def writer(self, job_id: str, step: str, attempt: int) -> StepWriter:
        """A writer for one attempt at one step."""
        return StepWriter(self, job_id, step, attempt)

    def put(self, writer: StepWriter, *entries: Entry) -> None:
        """Queue entries that are written in one call of the script; called by writers."""
        self._queue.put([_Pending(writer, entry) for entry in entries])

    def _run(self) -> None:
        while (batch := self._gather()) is not None:
            merged = _merge(batch)
            numbers = self._append(merged)
            for pending, number in zip(merged, numbers, strict=True):
                pending.writer.settle(pending.entry.number, stored=number > 0)

    def _gather(self) -> list[_Pending] | None:
        """Everything that waits to be written, at least one entry; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = list(first)
        while len(batch) < BATCH and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)  # write what there is, then meet the end again
                break
            batch += more
        return batch

    def _append(self, batch: list[_Pending]) -> list[int]:
        away = False
        while True:
            try:
                return append(self._redis, [pending.entry for pending in batch])
            except RedisError as error:
                if not away:
                    log.warning(
                        "Redis is unavailable, tokens are buffered until it is back: %s", error
                    )
                away = True
                threading.Event().wait(RECONNECT_PAUSE_S)


def _merge(batch: list[_Pending]) -> list[_Pending]:
    """Join adjacent tokens of the same step: one event says as much as ten."""
    merged: list[_Pending] = []
    tail: dict[StepWriter, _Pending] = {}
    for pending in batch:
        before = tail.get(pending.writer)
        token = pending.entry.event
        if (
            before is not None
            and isinstance(token, Token)
            and isinstance(before.entry.event, Token)
        ):
            joined = replace(
                before.entry.event,
                token_ids=before.entry.event.token_ids + token.token_ids,
                text=before.entry.event.text + token.text,
                reasoning=before.entry.event.reasoning + token.reasoning,
                calls=join((*before.entry.event.calls, *token.calls)),
                logprobs=before.entry.event.logprobs + token.logprobs,
                content_tokens=before.entry.event.content_tokens + token.content_tokens,
            )
            # The later number: both are written, or neither.
            before.entry = replace(pending.entry, event=joined)
            continue
        merged.append(pending)
        tail[pending.writer] = pending
    return merged
