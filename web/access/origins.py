"""Web pages that may use the service: those of its own origin, and those on the allow-list.

A browser sends `Origin` with what a page asks of another site, WebSockets included. Without this
check any page that is open on the machine could spend a keyless service's time: the browser keeps
the answer from the page, but not the request from us.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import flask
from flask import Flask, Response

from web.access.auth import OPEN_PATHS
from web.schemas.refusals import excerpt
from workers.contract.errors import Forbidden
from workers.settings import Settings

_METHODS = "GET, POST, DELETE, OPTIONS"
#: What a page may read besides the body.
_EXPOSED = (
    "X-Request-ID, request-id, Retry-After, retry-after-ms, x-should-retry, X-Ignored-Parameters, "
    "X-Queue-Position, X-Routed-Model, X-Coalesced, X-Cache, Idempotent-Replayed, Warning"
)
#: Seconds a browser remembers a preflight; Chromium takes no more than two hours.
_PREFLIGHT_S = 7200


def install(app: Flask, settings: Settings) -> None:
    """Refuse pages of foreign origins, answer preflights, and mark answers for listed ones."""
    allowed = frozenset(settings.cors_origins)

    def check() -> Response | None:
        request = flask.request
        origin = request.headers.get("Origin")
        if origin is None or request.path in OPEN_PATHS:
            return None
        if not _is_listed(origin, allowed) and not _is_own(origin):
            quoted = excerpt(origin)
            raise Forbidden(
                f"Pages of {quoted!r} may not use this service; INFERENCE_CORS_ORIGINS lists "
                "those that may.",
                details={"origin": quoted},
            )
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight()
        return None

    def mark(response: Response) -> Response:
        origin = flask.request.headers.get("Origin")
        if allowed:
            response.vary.add("Origin")
        if origin is not None and _is_listed(origin, allowed):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response

    app.before_request(check)
    app.after_request(mark)


def _is_listed(origin: str, allowed: frozenset[str]) -> bool:
    return "*" in allowed or origin.lower() in allowed


def _is_own(origin: str) -> bool:
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    # A proxy may have ended TLS, so the scheme does not count; it keeps the host.
    return host.lower() == flask.request.host.lower()


def _preflight() -> Response:
    response = flask.make_response("", 204)
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    # Clients send headers of their own (OpenAI's a dozen), and none of them opens anything.
    asked = flask.request.headers.get("Access-Control-Request-Headers", "")
    response.headers["Access-Control-Allow-Headers"] = asked
    response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
    return response
