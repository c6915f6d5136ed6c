"""The description of this API, made from the schemas that validate it."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

import web
from web.schemas import responses as shapes
from web.schemas.completion import ROUTED, CompletionSchema, JobSchema
from web.schemas.fields import Content, Decimal, Flag, Stop, Text, Whole
from web.schemas.job_list import MOST
from workers.contract.job import JobState

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body again attach to the running or finished job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_MODEL_ID = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}
_JOB_ID = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}


def describe(*, auto_route: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document; with `auto_route` requests need not name a model."""
    options = ROUTED if auto_route else {}
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="inference-service",
        version=web.__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        security=[{}, {"bearer": []}],
    )
    if plugin.converter is None:
        raise RuntimeError("apispec has changed: its plugin is not ready once the document is")
    plugin.converter.add_attribute_function(_of_our_fields)
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    spec.components.schema("Error", shapes.ERROR)
    spec.components.schema("ChatCompletion", shapes.COMPLETION)
    spec.components.schema("Model", shapes.MODEL)
    spec.components.schema("Models", shapes.MODELS)
    spec.components.schema("Loading", shapes.LOADING)
    spec.components.schema("Health", shapes.HEALTH)
    spec.components.schema("Job", shapes.JOB)
    spec.components.schema("Jobs", shapes.JOBS)
    spec.components.schema("ChatCompletionRequest", schema=CompletionSchema(**options))
    spec.components.schema("JobRequest", schema=JobSchema(**options))
    body = {"$ref": "#/components/schemas/ChatCompletionRequest"}
    event = {"type": "object", "properties": {"data": {"type": "string"}}}
    stream = {"schema": event}
    spec.path(
        "/v1/chat/completions",
        operations={
            "post": {
                "summary": "Answer a conversation, whole or as a stream.",
                "parameters": [_IDEMPOTENCY_KEY],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": body}},
                },
                "responses": {
                    "200": _answer(
                        "The answer; with `stream`, its parts as server-sent events.",
                        "ChatCompletion",
                        {"text/event-stream": stream},
                    ),
                    **_errors(),
                },
            }
        },
    )
    _describe_jobs(spec, stream)
    _describe_dead_letters(spec)
    _describe_models(spec)
    _describe_sockets(spec)
    for path, summary, name, others in (
        ("/v1/models", "The models, loaded ones first.", "Models", {}),
        ("/health", "Whether the process answers.", "Health", {}),
        (
            "/health/ready",
            "Whether a request would be answered.",
            "Health",
            {"503": _answer("Not now; `reason` says why.", "Health")},
        ),
    ):
        responses = {"200": _answer(summary, name), **others, **_errors()}
        spec.path(path, operations={"get": {"summary": summary, "responses": responses}})
    return spec.to_dict()


def _describe_jobs(spec: APISpec, stream: dict[str, Any]) -> None:
    body = {"schema": {"$ref": "#/components/schemas/JobRequest"}}
    taken = _answer("The job is stored and queued.", "Job")
    spec.path(
        "/v1/jobs",
        operations={
            "post": {
                "summary": "Take a completion that nobody waits for on the line.",
                "parameters": [_IDEMPOTENCY_KEY],
                "requestBody": {"required": True, "content": {"application/json": body}},
                "responses": {"202": taken, **_errors()},
            },
            "get": {
                "summary": "Jobs of this key, the latest first.",
                "parameters": [
                    _in_query("state", {"type": "string", "enum": list(JobState)}),
                    _in_query("model", {"type": "string"}),
                    _in_query("limit", {"type": "integer", "minimum": 1, "maximum": MOST}),
                    _in_query("after", {"type": "string"}),
                ],
                "responses": {"200": _answer("A page of jobs.", "Jobs"), **_errors()},
            },
        },
    )
    told = {"200": _answer("The job.", "Job"), **_errors()}
    spec.path(
        "/v1/jobs/{job_id}",
        parameters=[_JOB_ID],
        operations={
            "get": {"summary": "How far a job is, and its result or error.", "responses": told},
            "delete": {"summary": "Cancel a job, queued or running.", "responses": told},
        },
    )
    since = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
    events = {"description": "Server-sent events.", "content": {"text/event-stream": stream}}
    nothing = {"description": "The job has ended, and no event is behind that one."}
    spec.path(
        "/v1/jobs/{job_id}/events",
        parameters=[_JOB_ID],
        operations={
            "get": {
                "summary": "A job's events as they come, from the start or behind one.",
                "parameters": [since],
                "responses": {"200": events, "204": nothing, **_errors()},
            }
        },
    )


def _describe_dead_letters(spec: APISpec) -> None:
    listed = {"200": _answer("The dead letters.", "Jobs"), **_errors()}
    spec.path(
        "/v1/dead-letters",
        operations={
            "get": {"summary": "Jobs that killed their workers, set aside.", "responses": listed}
        },
    )
    dropped = {"200": _answer("The job that was one.", "Job"), **_errors()}
    spec.path(
        "/v1/dead-letters/{job_id}",
        parameters=[_JOB_ID],
        operations={"delete": {"summary": "Forget a dead letter.", "responses": dropped}},
    )
    retried = {"202": _answer("The new job.", "Job"), **_errors()}
    spec.path(
        "/v1/dead-letters/{job_id}/retry",
        parameters=[_JOB_ID],
        operations={"post": {"summary": "Ask for the same again.", "responses": retried}},
    )


def _describe_models(spec: APISpec) -> None:
    spec.path(
        "/v1/models/{model_id}",
        parameters=[_MODEL_ID],
        operations={
            "get": {
                "summary": "One model: its status, and how far its loading is.",
                "responses": {"200": _answer("The model.", "Model"), **_errors()},
            }
        },
    )
    for what, summary, done in (
        ("load", "Load a model, and wait until it answers.", "It is loaded."),
        ("unload", "Unload a model, once its running answers have ended.", "It is unloaded."),
    ):
        later = "It is not there yet: with `wait=false`, or where it takes too long."
        spec.path(
            f"/v1/models/{{model_id}}/{what}",
            parameters=[_MODEL_ID],
            operations={
                "post": {
                    "summary": summary,
                    "parameters": [_in_query("wait", {"type": "boolean", "default": True})],
                    "responses": {
                        "200": _answer(done, "Loading"),
                        "202": _answer(later, "Loading"),
                        **_errors(),
                    },
                }
            },
        )


def _describe_sockets(spec: APISpec) -> None:
    """OpenAPI has no word for WebSockets; what it can say is where they open."""
    opened = {"101": {"description": "The connection is a WebSocket."}, **_errors()}
    told = (
        'Takes JSON: {"type": "chat", ...} with the fields of a chat completion, '
        'then {"type": "cancel"} if it likes. It gets {"type": "accepted", "id"} and the '
        "job's events. Closed with 1000 when the job has ended, 1008 when it was refused, "
        "1011 when it failed."
    )
    spec.path(
        "/v1/ws/chat",
        operations={
            "get": {
                "summary": "A completion over a WebSocket.",
                "description": told,
                "responses": opened,
            }
        },
    )
    spec.path(
        "/v1/jobs/{job_id}/ws",
        parameters=[_JOB_ID],
        operations={
            "get": {
                "summary": "A job's events over a WebSocket; the client may send a cancel.",
                "parameters": [_in_query("last_event_id", {"type": "string"})],
                "responses": opened,
            }
        },
    )


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _errors() -> dict[str, Any]:
    return {"default": _answer("What went wrong, in the one error format.", "Error")}


def _answer(description: str, name: str, others: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    return {"description": description, "content": {"application/json": schema, **(others or {})}}


def _of_our_fields(_converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """What `web.schemas.fields` knows of a value beyond marshmallow's own fields."""
    told: dict[str, Any] = {}
    if isinstance(field, Whole):
        told = {"type": "integer", "minimum": field.least, "maximum": field.most}
    elif isinstance(field, Decimal):
        told = {"type": "number", "minimum": field.least, "maximum": field.most}
    elif isinstance(field, Flag):
        told = {"type": "boolean"}
    elif isinstance(field, Text):
        told = {"type": "string"}
        if field.choices:
            told["enum"] = list(field.choices)
        if field.least:
            told["minLength"] = field.least
        if field.most is not None:
            told["maxLength"] = field.most
    elif isinstance(field, Content):
        parts = {"type": "array", "items": {"type": "object"}}
        return {"anyOf": [{"type": "string"}, parts, {"type": "null"}]}
    elif isinstance(field, Stop):
        one = {"type": "string", "minLength": 1, "maxLength": field.LONGEST}
        several = {"type": "array", "items": one, "maxItems": field.MOST}
        return {"anyOf": [one, several, {"type": "null"}]}
    if told and field.allow_none:
        told["type"] = [told["type"], "null"]
        if "enum" in told:
            told["enum"] = [*told["enum"], None]
    return told
