"""A job's events as server-sent events, from the start or from where a reader left off."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import flask
from flask import Response

from web.live.completion import PATIENCE_S
from web.live.hub import Reader
from web.render.sse import HEADERS, Closing
from workers.contract.errors import InvalidEventId
from workers.contract.events import TERMINAL, Event, Heartbeat
from workers.store.records import JobRecord

log = logging.getLogger(__name__)

#: A reader of a job of which nothing is heard any longer leaves: its record has expired.
LONGEST_SILENCE_S = 86_400.0


def last_event_id(record: JobRecord) -> int:
    """The number behind which the reader goes on; 0 from the start.

    Raises:
        InvalidEventId: it is no number of an event of this job.
    """
    given = flask.request.headers.get("Last-Event-ID") or flask.request.args.get("last_event_id")
    if given is None:
        return 0
    if given.isascii() and given.isdecimal() and len(given) < 16 and int(given) <= record.last_seq:
        return int(given)
    raise InvalidEventId(
        f"Last-Event-ID {given[:40]!r} is no event of this job; it has 1 to {record.last_seq}.",
        details={"last_event_id": given[:40], "last_seq": record.last_seq},
    )


def respond(reader: Reader, closing: Closing) -> Response:
    """The stream of events up to the terminal one; `closing` is closed when it ends."""
    response = Response(_frames(reader), mimetype="text/event-stream", headers=HEADERS)
    response.call_on_close(closing.close)
    return response


def live_events(reader: Reader) -> Iterator[list[Event]]:
    """A job's events as they come, up to the terminal one; an empty list where none came.

    Ends early when the reader was left.
    """
    reader.put(None)  # what is stored already is read at once
    heard_at = time.monotonic()
    while time.monotonic() - heard_at < LONGEST_SILENCE_S:
        batch = reader.batch(PATIENCE_S)
        if not batch:
            return
        if isinstance(batch[-1], Heartbeat):
            yield []
            continue
        heard_at = time.monotonic()
        yield batch
        if isinstance(batch[-1], TERMINAL):
            return


def _frames(reader: Reader) -> Iterator[bytes]:
    for batch in live_events(reader):
        yield b"".join(_frame(event) for event in batch) or b": waiting\n\n"


def _frame(event: Event) -> bytes:
    body = {"seq": event.seq, **event.payload()}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return f"id: {event.seq}\nevent: {event.type}\ndata: {text}\n\n".encode()
