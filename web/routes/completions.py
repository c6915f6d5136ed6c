"""`POST /v1/chat/completions`."""

from __future__ import annotations

import contextlib

import flask
from flask import Blueprint, Response

from web import intake
from web.live.completion import LiveCompletion
from web.render import chunks, openai
from web.schemas.bounds import bounded
from web.schemas.completion import BOUNDS
from web.services import services

blueprint = Blueprint("completions", __name__)


@blueprint.post("/v1/chat/completions")
@bounded(BOUNDS)
def create() -> Response:
    """Answer a conversation, whole or as a stream."""
    asked = intake.read()
    job = intake.job(asked)
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().thread())
        connection = flask.request.environ.get("gunicorn.socket")
        completion = closing.enter_context(
            services().live_completions.open(job, connection, asked.idempotency)
        )
        if asked.stream:
            options = chunks.StreamOptions(usage=asked.include_usage, steps=asked.include_steps)
            response = chunks.respond(completion, closing.pop_all(), options)
        else:
            response = _plain(completion)
    if completion.queue_position is not None:
        response.headers["X-Queue-Position"] = str(completion.queue_position)
    if completion.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    intake.note(asked, completion.job, response)
    return response


def _plain(completion: LiveCompletion) -> Response:
    return flask.jsonify(openai.completion(completion.job, completion.answer()))
