"""`GET /openapi.json`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import flask
from flask import Blueprint

from web.openapi import assemble
from web.operation import Answer, Component, Operation, describe
from web.services import services

blueprint = Blueprint("openapi", __name__)

DOCUMENT = Component(
    "Document", {"type": "object", "required": ["openapi", "info", "paths", "components"]}
)
#: A process has one application.
_assembled = lru_cache(maxsize=1)(assemble)


@blueprint.get("/openapi.json")
@describe(
    Operation(
        operation_id="getOpenApiDocument",
        tag="Health and description",
        summary="The description of this API, as OpenAPI 3.1.",
        answers={200: Answer("The document.", DOCUMENT)},
    )
)
def document() -> dict[str, Any]:
    """The description of this API."""
    app = flask.current_app._get_current_object()  # type: ignore[attr-defined]
    return _assembled(app, auto_route=services().settings.auto_route_enabled)
