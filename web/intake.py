"""Intake: from a request's body to a job, for every address that takes completions."""

from __future__ import annotations

import json
import logging
import time
import uuid

import flask
from flask import Response

from orchestration.routing import TASK_TYPES
from web import auth
from web.schemas import completion
from web.schemas.body import read_object
from web.schemas.completion import Completion
from web.schemas.parameters import shown
from web.services import services
from workers import logs
from workers.contract.job import Job

log = logging.getLogger(__name__)


def read() -> Completion:
    """What the present request asks for.

    Raises:
        InferenceError: the body is wrong, or its key does not allow the priority.
    """
    asked = completion.load(read_object(), auth.default_priority(services().settings))
    auth.check_priority(asked.priority)
    return asked


def job(asked: Completion, *, asynchronous: bool = False) -> Job:
    """A new job; the log lines of the request name it from now on."""
    made = Job(
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
        owner=auth.key_name(),
        asynchronous=asynchronous,
    )
    flask.g.log_fields.enter_context(logs.bound(job_id=made.id, model=made.model))
    if services().settings.log_prompts:
        log.info("messages: %s", json.dumps([turn.to_dict() for turn in made.messages]))
    return made


def note(asked: Completion, response: Response) -> None:
    """Tell the caller what of its request was taken and changes nothing."""
    if asked.ignored:
        response.headers["X-Ignored-Parameters"] = ", ".join(asked.ignored)
    if asked.task_type is not None and asked.task_type not in TASK_TYPES:
        told = f"task_type {shown(asked.task_type)} is unknown and was routed as the default"
        response.headers["Warning"] = f'299 inference-service "{told}"'
