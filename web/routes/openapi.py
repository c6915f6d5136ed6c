"""`GET /openapi.json`."""

from __future__ import annotations

from functools import lru_cache

import flask
from flask import Blueprint, Flask, Response

from web.openapi import assemble
from web.operation import Answer, Component, Operation, describe
from web.services import services

blueprint = Blueprint("openapi", __name__)

DOCUMENT = Component(
    "Document", {"type": "object", "required": ["openapi", "info", "paths", "components"]}
)


@blueprint.get("/openapi.json")
@describe(
    Operation(
        operation_id="getOpenApiDocument",
        tag="Health and description",
        summary="The description of this API, as OpenAPI 3.1.",
        answers={200: Answer("The document.", DOCUMENT)},
    )
)
def document() -> Response:
    """The description of this API."""
    app = flask.current_app._get_current_object()  # type: ignore[attr-defined]
    text = _text(app, auto_route=services().settings.auto_route_enabled)
    return Response(text, mimetype="application/json")


@lru_cache(maxsize=1)  # a process has one application, and a flood of requests costs no encoding
def _text(app: Flask, *, auto_route: bool) -> str:
    return app.json.dumps(assemble(app, auto_route=auto_route))
