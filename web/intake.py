"""Intake: what the present request asks for: a new job, or one that there is."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import uuid
from dataclasses import replace
from typing import Any

import flask
from flask import Response

from orchestration.routing.roles import ROLES_OF
from web import request_record
from web.access import auth
from web.edge import limits
from web.live import request_log
from web.operation import header, path
from web.schemas import cache_wishes, completion, embedding, reranking
from web.schemas.body import read_object
from web.schemas.completion import Completion
from web.schemas.refusals import excerpt, header_safe, invalid
from web.services import services
from workers import logs
from workers.contract import errors
from workers.contract.job import Api, Job
from workers.keeper import destinations
from workers.store.admission import Idempotency
from workers.store.records import JobRecord

log = logging.getLogger(__name__)

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
#: What `new_id` gives, and what ids were before.
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_ID_BEGINS = {
    Api.CHAT: "chatcmpl",
    Api.TEXT: "cmpl",
    Api.INFILL: "cmpl",
    Api.EMBEDDINGS: "embd",
    Api.RERANK: "rerank",
}

#: How endpoints that take a completion, or name a job, describe that.
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "The same key and body again attach to the running or finished job.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
)
JOB_ID = path("job_id", "A job's id.", "chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33")
#: What may be wrong with any completion that is taken.
ERRORS = (
    errors.MalformedJSON,
    errors.PayloadTooLarge,
    errors.ValidationFailed,
    errors.TimeBudgetExceeded,
    errors.UnsupportedParameter,
    errors.ModelNotFound,
    errors.NotEnoughModels,
    errors.IdempotencyConflict,
)


def read(
    body: dict[str, Any] | None = None,
    *,
    api: Api = Api.CHAT,
    asynchronous: bool = False,
    endpoint: str | None = None,
) -> Completion:
    """What the present request asks for, in its own body or in another that is given.

    `endpoint`: within which its Idempotency-Key counts, where that is not its API.

    A job is what its body looks like: with `prompt` a text completion, with `input` vectors, with
    `documents` a ranking, else that of a chat.

    Raises:
        InferenceError: the body is wrong, or its key does not allow the priority.
    """
    if body is None:
        body = read_body()
    priority = auth.default_priority(services().settings)
    if asynchronous and body.get("prompt") is not None:
        api = Api.TEXT
    elif asynchronous and body.get("input") is not None:
        api = Api.EMBEDDINGS
    elif asynchronous and body.get("documents") is not None:
        api = Api.RERANK
    if api is Api.EMBEDDINGS:
        asked = embedding.load(body, priority, asynchronous=asynchronous)
    elif api is Api.RERANK:
        asked = reranking.load(body, priority, asynchronous=asynchronous)
    else:
        asked = completion.load(
            body,
            priority,
            api=api,
            most_messages=services().settings.max_messages,
            asynchronous=asynchronous,
            auto_route=services().settings.auto_route_enabled,
        )
    if asked.cache is not None and cache_wishes.refuses_cache(
        flask.request.headers.get("Cache-Control")
    ):
        asked = replace(asked, cache=replace(asked.cache, no_store=True))
    auth.check_priority(asked.priority)
    if asked.webhook is not None:
        _check_webhook(asked.webhook)
    endpoint = endpoint or ("jobs" if asynchronous else asked.api.value)
    return replace(asked, idempotency=_idempotency(body, endpoint))


def read_body() -> dict[str, Any]:
    """The body of the present request, whose room is for others from now on.

    Raises:
        InferenceError: as `web.schemas.body.read_object`.
    """
    body = read_object()
    limits.release()
    return body


def job(asked: Completion, *, asynchronous: bool = False) -> Job:
    """A new job; the log lines of the request name it from now on."""
    made = Job(
        id=new_id(asked.api, is_response=asked.response is not None),
        model=asked.model,
        messages=asked.messages,
        created=int(time.time()),
        sampling=asked.sampling,
        template=asked.template,
        tools=asked.tools,
        mode=asked.mode or "",
        priority=asked.priority,
        task_type=asked.task_type,
        user=asked.user,
        metadata=asked.metadata,
        store=asked.store,
        service_tier=asked.service_tier,
        compression=asked.compression,
        request_id=flask.g.request_id,
        timings=asked.timings,
        trace=request_log.current().trace,
        owner=auth.owner(),
        asynchronous=asynchronous,
        deadline_s=asked.deadline_s,
        webhook=asked.webhook,
        choices=asked.choices,
        prompts=asked.prompts,
        embedding=asked.embedding,
        reranking=asked.reranking,
        response=asked.response,
        api=asked.api,
    )
    request_record.asks_for(made)
    flask.g.log_fields.enter_context(logs.bound(job_id=made.id, model=made.model))
    if services().settings.log_prompts:
        _log_request(made)
    return made


def new_id(api: Api = Api.CHAT, *, is_response: bool = False) -> str:
    """An id for a job and its completion, which begins as OpenAI's do."""
    begins = "resp_" if is_response else f"{_ID_BEGINS[api]}-"
    return f"{begins}{uuid.uuid4().hex}"


def _log_request(made: Job) -> None:
    if made.encoder_request is not None:
        log.info("texts: %s", json.dumps(made.encoder_request.texts))
    elif made.prompts:
        log.info("prompts: %s", json.dumps([prompt.to_dict() for prompt in made.prompts]))
    else:
        log.info("messages: %s", json.dumps([turn.to_dict() for turn in made.messages]))


def note(asked: Completion, accepted: Job, response: Response) -> None:
    """Add headers that say what became of the request's parameters."""
    request_record.asks_for(accepted)
    if accepted.routing is not None:
        response.headers["X-Routed-Model"] = accepted.model
    if asked.ignored:
        response.headers["X-Ignored-Parameters"] = ", ".join(asked.ignored)
    warnings = [*asked.relaxed]
    if asked.task_type is not None and asked.task_type not in ROLES_OF:
        warnings.append(
            f"task_type {header_safe(asked.task_type)} is unknown, routed as the default"
        )
    if warnings:
        response.headers["Warning"] = ", ".join(
            f'299 inference-service "{warning}"' for warning in warnings
        )


def own_job(job_id: str) -> JobRecord:
    """The job's record, for the key that asked for it and no other.

    Raises:
        JobNotFound: there is none, or it is another key's.
    """
    # Other ids are part of other keys' names in Redis: `{job}:events`.
    record = services().jobs.record(job_id) if _JOB_ID.fullmatch(job_id) else None
    if record is None or record.job.owner != auth.owner():
        quoted = excerpt(job_id)
        raise errors.JobNotFound(
            f"There is no job {quoted!r}, or it is no longer kept.", details={"job": quoted}
        )
    return record


def own_response(response_id: str, param: str | None = None) -> JobRecord:
    """The record of a response that is kept, for the key that asked for it and no other.

    `param`: the field that names it, where that is no part of the address.

    Raises:
        JobNotFound: there is none, it was not stored, or it is another key's.
    """
    record = services().jobs.record(response_id) if _JOB_ID.fullmatch(response_id) else None
    if record is None or record.job.owner != auth.owner() or not record.job.keeps_conversation:
        quoted = excerpt(response_id)
        raise errors.JobNotFound(
            f"There is no response {quoted!r}, or it is no longer kept: docs/RESPONSES.md says "
            "how long.",
            details={"response": quoted, **({} if param is None else {"param": param})},
        )
    return record


def last_event_id(record: JobRecord) -> int:
    """The number after which the present request reads a job's events; 0 from the start.

    Raises:
        InvalidEventId: it is no number of an event of this job.
    """
    given = flask.request.headers.get("Last-Event-ID") or flask.request.args.get("last_event_id")
    if given is None:
        return 0
    if given.isascii() and given.isdecimal() and len(given) < 16 and int(given) <= record.last_seq:
        return int(given)
    quoted = excerpt(given)
    raise errors.InvalidEventId(
        f"Last-Event-ID {quoted!r} is no event of this job; it has 1 to {record.last_seq}.",
        details={"last_event_id": quoted, "last_seq": record.last_seq},
    )


def _idempotency(body: dict[str, Any], endpoint: str) -> Idempotency | None:
    """What the present request's Idempotency-Key stands for, within its API key and endpoint."""
    key = flask.request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise invalid("Idempotency-Key", "must have 1 to 255 printable ASCII characters")
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Idempotency(
        scope=f"{endpoint}:{auth.owner() or ''}:{hashlib.sha256(key.encode()).hexdigest()}",
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
    )


def _check_webhook(url: str) -> None:
    """Refuse a webhook that would never be sent."""
    settings = services().settings
    if settings.webhook_secret is None:
        raise invalid(
            "webhook", "needs INFERENCE_WEBHOOK_SECRET to be set: messages are signed with it"
        )
    try:
        destinations.resolve(url, settings.webhook_networks)
    except destinations.Refused as refused:
        raise errors.ValidationFailed(
            f"webhook may not go there: {refused}.",
            details={"param": "webhook", "reason": str(refused)},
        ) from None
