"""Server-sent events: a stream of chunks, and the one way it can end early."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Response

from web import errors
from web.live.completion import PATIENCE_S, LiveCompletion
from web.render import openai
from workers import logs
from workers.contract.errors import InferenceError, Internal
from workers.contract.events import Completed, Event, Token
from workers.contract.step import is_answer

log = logging.getLogger(__name__)

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

#: The HTTP status can still be chosen while the generator has not yielded.
Closing = contextlib.ExitStack


@dataclass(frozen=True, slots=True)
class Told:
    """What a stream tells beside the answer."""

    usage: bool
    #: What the steps do, as chunks without choices.
    steps: bool


def respond(exchange: LiveCompletion, closing: Closing, told: Told) -> Response:
    """A streaming response; `closing` is closed when it ends, however it ends.

    Waits for what is told first, at most `PATIENCE_S`.

    Raises:
        InferenceError: the job failed before its first token.
    """
    first = exchange.before_first_token(PATIENCE_S, of_steps=told.steps)
    frames = _frames(exchange, first, told)
    response = Response(frames, mimetype="text/event-stream", headers=HEADERS)
    response.call_on_close(closing.close)
    return response


def _frames(exchange: LiveCompletion, first: list[Event] | None, told: Told) -> Iterator[bytes]:
    try:
        while first is None:
            yield f": {exchange.whereabouts()}\n\n".encode()
            first = exchange.before_first_token(PATIENCE_S, of_steps=told.steps)
        role = openai.chunk(exchange.job, {"role": "assistant"})
        # The role is no event of its own: whoever resumes behind it still wants the first token.
        yield _frame(first[0].seq - 1, role) + _batch(exchange, first, told)
        for events in exchange.rest():
            yield _batch(exchange, events, told)
    except InferenceError as error:
        with _logged(exchange):
            log.warning("the stream ends with %s: %s", error.code, error.message)
        yield _frame(exchange.seq, errors.body(error))
    except Exception:
        with _logged(exchange):
            log.exception("the stream ends with an error nobody foresaw")
        yield _frame(exchange.seq, errors.body(Internal()))


def _logged(exchange: LiveCompletion) -> contextlib.AbstractContextManager[None]:
    """The request's log fields: a stream outlives the request's own."""
    job = exchange.job
    return logs.bound(request_id=job.request_id or "", job_id=job.id, model=job.model)


def _batch(exchange: LiveCompletion, events: list[Event], told: Told) -> bytes:
    """The frames of several events, to be sent as one."""
    job = exchange.job
    frames: list[bytes] = []
    for event in events:
        if told.steps and (chunk := openai.step_chunk(job, event)) is not None:
            frames.append(_frame(event.seq, chunk))
        if isinstance(event, Token) and is_answer(event.step):
            if delta := openai.delta(event):
                frames.append(_frame(event.seq, openai.chunk(job, delta)))
        elif isinstance(event, Completed):
            frames.append(_frame(event.seq, openai.last_chunk(job, event)))
            if told.usage:
                frames.append(_frame(event.seq, openai.usage_chunk(job, event)))
            frames.append(b"data: [DONE]\n\n")
    return b"".join(frames)


def _frame(seq: int, body: dict[str, Any]) -> bytes:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return f"id: {seq}\ndata: {text}\n\n".encode()
