"""`POST /v1/chat/completions`."""

from __future__ import annotations

import contextlib

import flask
from flask import Blueprint, Response

from web import intake
from web.live.completion import LiveCompletion
from web.render import openai, sse
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
        closing.enter_context(services().place())
        connection = flask.request.environ.get("gunicorn.socket")
        exchange = closing.enter_context(
            services().live_completions.open(job, connection, asked.idempotency)
        )
        if asked.stream:
            told = sse.Told(usage=asked.include_usage, steps=asked.include_steps)
            response = sse.respond(exchange, closing.pop_all(), told)
        else:
            response = _plain(exchange)
    if exchange.queue_position is not None:
        response.headers["X-Queue-Position"] = str(exchange.queue_position)
    if exchange.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    intake.note(asked, exchange.job, response)
    return response


def _plain(exchange: LiveCompletion) -> Response:
    return flask.jsonify(openai.completion(exchange.job, exchange.answer()))
