"""A completion as a stream of chunks, and the one way it can end early."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from flask import Response

from web import request_record
from web.live.completion import PATIENCE_S, LiveCompletion
from web.render import openai, sse
from web.render.answer_streams import AnswerStream
from web.request_record import RequestRecord
from workers import logs
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Event
from workers.contract.job import Job

log = logging.getLogger(__name__)


def respond(
    completion: LiveCompletion,
    closing: sse.Closing,
    stream_of: Callable[[Job], AnswerStream],
    *,
    of_steps: bool = False,
) -> Response:
    """A streaming response; `closing` is closed when it ends, however it ends.

    Waits for the first event that is shown, at most `PATIENCE_S`. `of_steps`: what the steps do
    is shown, too, as chunks without choices.

    Raises:
        InferenceError: the job failed before its first token.
    """
    first = completion.before_first_token(PATIENCE_S, of_steps=of_steps)
    frames = _frames(completion, first, stream_of, of_steps, request_record.current())
    return sse.respond(frames, closing)


def _frames(
    completion: LiveCompletion,
    first: list[Event] | None,
    stream_of: Callable[[Job], AnswerStream],
    of_steps: bool,
    record: RequestRecord | None,
) -> Iterator[bytes]:
    stream: AnswerStream | None = None
    try:
        while first is None:
            yield sse.comment(completion.progress())
            first = completion.before_first_token(PATIENCE_S, of_steps=of_steps)
        stream = stream_of(completion.job)
        # The beginning is no event of its own: who resumes after it still wants the first token.
        begin = [stream.frame(first[0].seq - 1, body) for body in stream.begin()]
        yield b"".join(begin) + _batch(completion, stream, first, of_steps)
        for events in completion.rest():
            yield _batch(completion, stream, events, of_steps)
    except InferenceError as error:
        with _log_fields(completion):
            log.warning("the stream ends with %s", error.for_log())
        yield _failure(completion, stream or stream_of(completion.job), error, record)
    except Exception:
        with _log_fields(completion):
            log.exception("unexpected error, the stream ends")
        yield _failure(completion, stream or stream_of(completion.job), Internal(), record)


def _failure(
    completion: LiveCompletion,
    stream: AnswerStream,
    error: InferenceError,
    record: RequestRecord | None,
) -> bytes:
    """The last frame of a stream that has failed: its status was sent before."""
    if record is not None:
        record.error, record.job = error.code, completion.job
    bodies = [body for event in completion.unread for body in stream.of(event)]
    bodies += [] if stream.ended else stream.failure(error)
    return b"".join(stream.frame(completion.seq, body) for body in bodies)


def _log_fields(completion: LiveCompletion) -> contextlib.AbstractContextManager[None]:
    """The request's log fields: a stream outlives the request's own."""
    job = completion.job
    return logs.bound(**job.log_fields, model=job.model)


def _batch(
    completion: LiveCompletion, stream: AnswerStream, events: list[Event], of_steps: bool
) -> bytes:
    """The frames of several events, to be sent as one."""
    frames: list[bytes] = []
    for event in events:
        if of_steps and (chunk := openai.step_chunk(completion.job, event)) is not None:
            frames.append(sse.frame(event.seq, chunk))
        frames += [stream.frame(event.seq, body) for body in stream.of(event)]
        if isinstance(event, Completed):
            frames.append(stream.done)
    return b"".join(frames)
