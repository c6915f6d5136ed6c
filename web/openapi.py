"""The OpenAPI document of an application, assembled from what its views say about themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask

import web
from web import errors
from web.access.auth import OPEN_PATHS
from web.operation import Answer, Component, Operation
from web.schemas.anthropic.responses import MESSAGES_ERROR
from web.schemas.completion_schema import ROUTED
from web.schemas.fields import JsonField
from web.schemas.responses import ERROR

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}}


def assemble(app: Flask, *, auto_route: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document; with `auto_route` requests need not name a model.

    Views that `web.operation.describe` was not put on are left out.
    """
    spec = _empty()
    components: dict[str, Component] = {}
    paths: dict[str, dict[str, Operation]] = defaultdict(dict)
    for path, method, operation in _described(app):
        paths[path][method] = operation
        components |= {component.name: component for component in _components(operation)}
    for name, component in sorted(components.items()):
        if isinstance(component.schema, Mapping):
            spec.components.schema(name, {**component.schema})
        else:
            options: Mapping[str, Any] = ROUTED if auto_route else {}
            spec.components.schema(name, schema=component.schema(**options))
    for path, operations in sorted(paths.items()):
        arguments = {
            parameter["name"]: dict(parameter)
            for operation in operations.values()
            for parameter in operation.parameters
            if parameter["in"] == "path"
        }
        spec.path(
            path,
            parameters=list(arguments.values()),
            operations={
                method: _operation(path, operation) for method, operation in operations.items()
            },
        )
    return spec.to_dict()


def _empty() -> APISpec:
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
    plugin.converter.add_attribute_function(
        lambda _, field, **__: field.json_schema() if isinstance(field, JsonField) else {}
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    return spec


def _described(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Path, method and description of every view that has one."""
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "operation", None)
        if operation is None:
            continue
        path = _ARGUMENT.sub(r"{\1}", rule.rule)
        for method in sorted((rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}):
            yield path, method.lower(), operation


def _components(operation: Operation) -> list[Component]:
    bodies = (operation.request, *(answer.body for answer in operation.answers.values()))
    return [ERROR, MESSAGES_ERROR, *(body for body in bodies if body is not None)]


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(path, operation),
    }
    if operation.description:
        described["description"] = operation.description
    if others := [dict(given) for given in operation.parameters if given["in"] != "path"]:
        described["parameters"] = others
    if operation.request is not None:
        content = {"application/json": _json(operation.request)}
        described["requestBody"] = {"required": True, "content": content}
    if path in OPEN_PATHS:
        described["security"] = []
    if operation.command is not None:
        # Redoc's name for it; other readers pass over what begins with x-.
        described["x-codeSamples"] = [{"lang": "shell", "source": operation.command}]
    return described


def _responses(path: str, operation: Operation) -> dict[str, Any]:
    shown = MESSAGES_ERROR if errors.is_below(path, errors.ANTHROPIC) else ERROR
    responses = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    by_status = defaultdict(list)
    for error in operation.errors:
        kind = error()
        by_status[errors.status_at(path, kind)].append(kind)
    for status, kinds in sorted(by_status.items()):
        examples = {error.code: {"value": errors.body_at(path, error)} for error in kinds}
        responses.setdefault(
            str(status),
            {
                "description": " ".join(f"`{error.code}`: {error.message}" for error in kinds),
                "content": {"application/json": {"schema": shown.ref, "examples": examples}},
            },
        )
    responses["default"] = _answer(Answer("What went wrong, in the one error format.", shown))
    return responses


def _answer(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.body is not None:
        content["application/json"] = _json(answer.body, answer.example)
    if answer.stream is not None:
        content["text/event-stream"] = {"schema": _EVENT, "example": answer.stream}
    return {"description": answer.description, **({"content": content} if content else {})}


def _json(body: Component, example: Any = None) -> dict[str, Any]:
    example = body.example if example is None else example
    return {"schema": body.ref, **({} if example is None else {"example": example})}
