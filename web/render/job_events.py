"""A job's events as they come, and as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Response

from web.live.completion import PATIENCE_S
from web.live.hub import Reader
from web.render import logprobs, sse
from workers.contract.events import TERMINAL, Event, Heartbeat, Token

#: A reader gives up on a job of which nothing comes any longer: its record has expired.
LONGEST_SILENCE_S = 86_400.0


def respond(reader: Reader, closing: sse.Closing) -> Response:
    """The stream of events up to the terminal one; `closing` is closed when it ends."""
    return sse.respond(_frames(reader), closing)


def body(event: Event) -> dict[str, object]:
    """An event as every reader gets it, whatever carries it."""
    payload = event.payload()
    if isinstance(event, Token) and event.logprobs:
        payload["logprobs"] = [logprobs.entry(each) if each else None for each in event.logprobs]
    return {"seq": event.seq, **payload}


def live_events(reader: Reader) -> Iterator[list[Event]]:
    """A job's events as they come, up to the terminal one; an empty list where none came.

    Ends early when the reader was left, or the job is gone.
    """
    reader.put(None)  # what is stored already is read at once
    last_event_at = time.monotonic()
    while time.monotonic() - last_event_at < LONGEST_SILENCE_S:
        batch = reader.batch(PATIENCE_S)
        if not batch:
            return
        if isinstance(batch[-1], Heartbeat):
            yield []
            continue
        last_event_at = time.monotonic()
        yield batch
        if isinstance(batch[-1], TERMINAL):
            return


def _frames(reader: Reader) -> Iterator[bytes]:
    for batch in live_events(reader):
        frames = [_frame(event) for event in batch]
        yield b"".join(frames) or sse.comment("waiting")


def _frame(event: Event) -> bytes:
    shown = body(event)
    return sse.frame(event.seq, shown, str(shown["type"]))
