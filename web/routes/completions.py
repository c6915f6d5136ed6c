"""`POST /v1/chat/completions`."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid

import flask
from flask import Blueprint, Response

from orchestration.routing import TASK_TYPES
from web import answers, auth, sse
from web.exchange import Exchange
from web.schemas import completion
from web.schemas.body import read_object
from web.schemas.completion import Completion
from web.schemas.parameters import shown
from web.services import services
from workers import logs
from workers.contract.errors import TemporaryResource
from workers.contract.events import Completed, Token
from workers.contract.job import Job

log = logging.getLogger(__name__)

blueprint = Blueprint("completions", __name__)


@blueprint.post("/v1/chat/completions")
def create() -> Response:
    """Answer a conversation, whole or as a stream."""
    settings = services().settings
    asked = completion.load(read_object(), auth.default_priority(settings))
    auth.check_priority(asked.priority)
    job = _job(asked)
    flask.g.log_fields.enter_context(logs.bound(job_id=job.id, model=job.model))
    if settings.log_prompts:
        log.info("messages: %s", json.dumps([turn.to_dict() for turn in job.messages]))
    with contextlib.ExitStack() as closing:
        _take_place(closing)
        connection = flask.request.environ.get("gunicorn.socket")
        exchange = closing.enter_context(services().exchanges.open(job, connection))
        if asked.stream:
            response = sse.respond(exchange, closing.pop_all(), include_usage=asked.include_usage)
        else:
            response = _plain(exchange)
    _note(asked, response)
    return response


def _note(asked: Completion, response: Response) -> None:
    """Tell the caller what of its request was taken and changes nothing."""
    if asked.ignored:
        response.headers["X-Ignored-Parameters"] = ", ".join(asked.ignored)
    if asked.task_type is not None and asked.task_type not in TASK_TYPES:
        told = f"task_type {shown(asked.task_type)} is unknown and was routed as the default"
        response.headers["Warning"] = f'299 inference-service "{told}"'


def _take_place(closing: contextlib.ExitStack) -> None:
    places = services().places
    if not places.acquire(blocking=False):
        raise TemporaryResource(
            "All threads of the front end are taken by open answers. Try again in a moment, or "
            "raise INFERENCE_WEB_THREADS."
        )
    closing.callback(places.release)


def _job(asked: Completion) -> Job:
    return Job(
        id=f"chatcmpl-{uuid.uuid4().hex}",
        model=asked.model,
        messages=asked.messages,
        created=int(time.time()),
        sampling=asked.sampling,
        mode=asked.mode,
        priority=asked.priority,
        task_type=asked.task_type,
        user=asked.user,
        request_id=flask.g.request_id,
    )


def _plain(exchange: Exchange) -> Response:
    events = exchange.answer()
    text = "".join(event.text for event in events if isinstance(event, Token))
    outcome = next(event.outcome for event in events if isinstance(event, Completed))
    return flask.jsonify(answers.completion(exchange.job, text, outcome))
