"""A completion as a stream of chunks, and the one way it can end early."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Response

from web import errors
from web.live.completion import PATIENCE_S, LiveCompletion
from web.render import openai, sse
from workers import logs
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Event, StepFinished, Token
from workers.contract.job import Job
from workers.contract.step import choice_of, is_answer

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
    return sse.respond(_frames(completion, first, options), closing)


def _frames(
    completion: LiveCompletion, first: list[Event] | None, options: StreamOptions
) -> Iterator[bytes]:
    try:
        while first is None:
            yield sse.comment(completion.progress())
            first = completion.before_first_token(PATIENCE_S, of_steps=options.steps)
        yield _roles(completion.job, first[0].seq - 1) + _batch(completion, first, options)
        for events in completion.rest():
            yield _batch(completion, events, options)
    except InferenceError as error:
        with _log_fields(completion):
            log.warning("the stream ends with %s", error.for_log())
        yield sse.frame(completion.seq, errors.body(error))
    except Exception:
        with _log_fields(completion):
            log.exception("unexpected error, the stream ends")
        yield sse.frame(completion.seq, errors.body(Internal()))


def _log_fields(completion: LiveCompletion) -> contextlib.AbstractContextManager[None]:
    """The request's log fields: a stream outlives the request's own."""
    job = completion.job
    return logs.bound(request_id=job.request_id or "", job_id=job.id, model=job.model)


def _roles(job: Job, seq: int) -> bytes:
    """Who speaks, for each choice. That is no event: who resumes after it wants the first token."""
    role = {"role": "assistant"}
    frames = [sse.frame(seq, openai.chunk(job, role, index)) for index in range(job.choices)]
    return b"".join(frames)


def _batch(completion: LiveCompletion, events: list[Event], options: StreamOptions) -> bytes:
    """The frames of several events, to be sent as one."""
    job = completion.job
    frames: list[bytes] = []
    for event in events:
        if options.steps and (chunk := openai.step_chunk(job, event)) is not None:
            frames.append(sse.frame(event.seq, chunk))
        if isinstance(event, Token) and is_answer(event.step):
            if delta := openai.delta(job, event):
                chunk = openai.chunk(job, delta, choice_of(event.step))
                frames.append(sse.frame(event.seq, chunk))
        elif isinstance(event, StepFinished) and job.choices > 1:
            frames.append(sse.frame(event.seq, openai.choice_chunk(job, event.outcome)))
        elif isinstance(event, Completed):
            frames.append(sse.frame(event.seq, openai.last_chunk(job, event)))
            if options.usage:
                frames.append(sse.frame(event.seq, openai.usage_chunk(job, event)))
            frames.append(sse.DONE)
    return b"".join(frames)
