"""A completion as a stream of chunks, and the one way it can end early."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Response

from web import errors, request_record
from web.live.completion import PATIENCE_S, LiveCompletion
from web.render import answer_streams, openai, sse
from web.render.answer_streams import AnswerStream, Bodies
from web.request_record import RequestRecord
from workers import logs
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Event, StepFinished, Token
from workers.contract.step import is_answer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream carries besides the answer."""

    usage: bool
    #: What the steps do, as chunks without choices.
    steps: bool


def respond(completion: LiveCompletion, closing: sse.Closing, options: StreamOptions) -> Response:
    """A streaming response; `closing` is closed when it ends, however it ends.

    Waits for the first event that is shown, at most `PATIENCE_S`.

    Raises:
        InferenceError: the job failed before its first token.
    """
    first = completion.before_first_token(PATIENCE_S, of_steps=options.steps)
    frames = _frames(completion, first, options, request_record.current())
    return sse.respond(frames, closing)


def _frames(
    completion: LiveCompletion,
    first: list[Event] | None,
    options: StreamOptions,
    record: RequestRecord | None,
) -> Iterator[bytes]:
    try:
        while first is None:
            yield sse.comment(completion.progress())
            first = completion.before_first_token(PATIENCE_S, of_steps=options.steps)
        stream = answer_streams.of(completion.job, with_usage=options.usage)
        # The beginning is no event of its own: who resumes after it still wants the first token.
        begin = [sse.frame(first[0].seq - 1, body) for body in stream.begin()]
        yield b"".join(begin) + _batch(completion, stream, first, options)
        for events in completion.rest():
            yield _batch(completion, stream, events, options)
    except InferenceError as error:
        with _log_fields(completion):
            log.warning("the stream ends with %s", error.for_log())
        yield _failure(completion, error, record)
    except Exception:
        with _log_fields(completion):
            log.exception("unexpected error, the stream ends")
        yield _failure(completion, Internal(), record)


def _failure(
    completion: LiveCompletion, error: InferenceError, record: RequestRecord | None
) -> bytes:
    """The last frame of a stream that has failed: its status was sent before."""
    if record is not None:
        record.error, record.job = error.code, completion.job
    return sse.frame(completion.seq, errors.body(error))


def _log_fields(completion: LiveCompletion) -> contextlib.AbstractContextManager[None]:
    """The request's log fields: a stream outlives the request's own."""
    job = completion.job
    return logs.bound(**job.log_fields, model=job.model)


def _batch(
    completion: LiveCompletion, stream: AnswerStream, events: list[Event], options: StreamOptions
) -> bytes:
    """The frames of several events, to be sent as one."""
    job = completion.job
    frames: list[bytes] = []
    for event in events:
        if options.steps and (chunk := openai.step_chunk(job, event)) is not None:
            frames.append(sse.frame(event.seq, chunk))
        bodies: Bodies = []
        if isinstance(event, Token) and is_answer(event.step):
            bodies = stream.take(event)
        elif isinstance(event, StepFinished) and job.choices > 1:
            bodies = stream.end_choice(event.outcome)
        elif isinstance(event, Completed):
            bodies = stream.end(event)
        frames += [sse.frame(event.seq, body) for body in bodies]
        if isinstance(event, Completed):
            frames.append(stream.done)
    return b"".join(frames)
