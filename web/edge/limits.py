"""What the application says of a request before and after its body has come.

Before: how large the body may be, from the bounds that its view declares. After: a body that was
thrown away is refused where any other error would be, so that a caller without a key still learns
that first, and the answer has its id and its headers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
from flask import Flask
from werkzeug.exceptions import HTTPException

from web.edge.body import Body
from web.schemas import bounds
from workers.settings import Settings

MB = 2**20


def install(app: Flask, settings: Settings) -> None:
    """Refuse what was thrown away on its way in; goes after the checks of who may ask."""

    def check() -> None:
        request = flask.request
        # Also where no server of ours has looked at it: the test client, another WSGI server.
        view = app.view_functions.get(request.endpoint or "")
        request.max_content_length = _bytes(view, settings)
        refusal = getattr(request.environ.get("wsgi.input"), "refusal", None)
        if refusal is not None:
            raise refusal

    app.before_request(check)


def release() -> None:
    """The present request's body was parsed: its room is for others now."""
    body = flask.request.environ.get("wsgi.input")
    if isinstance(body, Body):
        body.release()


def of_requests(app: Flask, settings: Settings) -> Callable[[Any], int]:
    """How many bytes the body of a request may have, from its head (gunicorn's request)."""
    addresses = app.url_map.bind("localhost")

    def limit(request: Any) -> int:
        try:
            endpoint, _ = addresses.match(request.path, method=request.method)
        except HTTPException:
            return _bytes(None, settings)
        return _bytes(app.view_functions.get(endpoint), settings)

    return limit


def _bytes(view: Callable[..., Any] | None, settings: Settings) -> int:
    declared = bounds.of_view(view).bytes
    return settings.max_body_mb * MB if declared is None else declared
