"""The description of this API, made from the schemas that validate it."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

import web
from web.errors import STATUS
from web.schemas.completion import CompletionSchema
from web.schemas.fields import Content, Decimal, Flag, Stop, Text, Whole

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "provider", "details"],
            "properties": {
                "code": {"type": "string", "enum": sorted(STATUS)},
                "message": {"type": "string"},
                "type": {"type": "string", "enum": ["retriable", "non_retriable"]},
                "provider": {"type": "string", "const": "inference-service"},
                "details": {"type": "object"},
            },
        }
    },
}
_COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string", "pattern": "^chatcmpl-"},
        "object": {"type": "string", "const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "usage": {"type": "object"},
        "orchestration": {"type": "object"},
        "inference_metadata": {"type": "object"},
    },
}
_MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"type": "string", "const": "list"},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "object", "status", "memory_mb", "context_length", "roles"],
            },
        },
    },
}
_HEALTH = {"type": "object", "required": ["status"]}


def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
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
    spec.components.schema("Error", _ERROR)
    spec.components.schema("ChatCompletion", _COMPLETION)
    spec.components.schema("Models", _MODELS)
    spec.components.schema("Health", _HEALTH)
    spec.components.schema("ChatCompletionRequest", schema=CompletionSchema)
    body = {"$ref": "#/components/schemas/ChatCompletionRequest"}
    event = {"type": "object", "properties": {"data": {"type": "string"}}}
    stream = {"schema": event}
    spec.path(
        "/v1/chat/completions",
        operations={
            "post": {
                "summary": "Answer a conversation, whole or as a stream.",
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
    for path, summary, name, others in (
        ("/v1/models", "The models, loaded ones first.", "Models", {}),
        ("/health", "Whether the process answers.", "Health", {}),
        ("/health/ready", "Whether a request would be answered.", "Health",
         {"503": _answer("Not now; `reason` says why.", "Health")}),
    ):  # fmt: skip
        responses = {"200": _answer(summary, name), **others, **_errors()}
        spec.path(path, operations={"get": {"summary": summary, "responses": responses}})
    return spec.to_dict()


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
