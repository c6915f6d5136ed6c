"""`POST /v1/chat/completions`."""

from __future__ import annotations

import contextlib

import flask
from flask import Blueprint, Response

from web import answers, intake, sse
from web.exchange import Exchange
from web.services import services
from workers.contract.events import Completed, Token

blueprint = Blueprint("completions", __name__)


@blueprint.post("/v1/chat/completions")
def create() -> Response:
    """Answer a conversation, whole or as a stream."""
    asked = intake.read()
    job = intake.job(asked)
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().place())
        connection = flask.request.environ.get("gunicorn.socket")
        exchange = closing.enter_context(
            services().exchanges.open(job, connection, asked.idempotency)
        )
        if asked.stream:
            response = sse.respond(exchange, closing.pop_all(), include_usage=asked.include_usage)
        else:
            response = _plain(exchange)
    if exchange.queue_position is not None:
        response.headers["X-Queue-Position"] = str(exchange.queue_position)
    intake.note(asked, response)
    return response


def _plain(exchange: Exchange) -> Response:
    events = exchange.answer()
    text = "".join(event.text for event in events if isinstance(event, Token))
    outcome = next(event.outcome for event in events if isinstance(event, Completed))
    return flask.jsonify(answers.completion(exchange.job, text, outcome))
