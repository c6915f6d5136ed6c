"""`GET /openapi.json`."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Blueprint

from web.openapi import describe
from web.services import services

blueprint = Blueprint("openapi", __name__)

_described = cache(describe)


@blueprint.get("/openapi.json")
def document() -> dict[str, Any]:
    """The description of this API."""
    return _described(auto_route=services().settings.auto_route_enabled)
