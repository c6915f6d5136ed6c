"""The events of a response that is kept, from any number on, for any reader."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response

from web.live.hub import Reader
from web.render import sse
from web.render.job_events import live_events
from web.render.response.response_stream import ResponseStream
from workers.contract.errors import FrontEndStopping, InferenceError, JobNotFound
from workers.contract.job import Job


def respond(job: Job, reader: Reader, closing: sse.Closing, after: int) -> Response:
    """The stream of events after the one of this number; `reader` reads the job's from its first.

    `closing` is closed when it ends.
    """
    return sse.respond(_frames(job, reader, after), closing)


def _frames(job: Job, reader: Reader, after: int) -> Iterator[bytes]:
    stream = ResponseStream(job)
    bodies = stream.begin()
    for events in live_events(reader):
        bodies += [body for event in events for body in stream.of(event)]
        wanted = [body for body in bodies if body["sequence_number"] > after]
        yield b"".join(stream.frame(0, body) for body in wanted) or sse.comment("waiting")
        bodies = []
    if not stream.ended and (error := _early_end(job, reader, stream.last_number)) is not None:
        yield b"".join(stream.frame(0, body) for body in stream.failure(error))


def _early_end(job: Job, reader: Reader, last: int) -> InferenceError | None:
    """Why nothing more is read here; None where nobody reads."""
    if reader.gone:
        return JobNotFound(f"{job.id} was deleted while it was read.")
    if reader.stopped:
        return FrontEndStopping(
            "This front end is being stopped; the response goes on. Read on at GET /v1/responses/"
            f"{job.id}?stream=true&starting_after={last}."
        )
    return None
