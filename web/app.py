"""The Flask application."""

from __future__ import annotations

import contextlib
import re
import uuid

import flask
from flask import Flask, Response
from redis import Redis

from web import errors, request_record, routes
from web.access import auth, hosts, origins
from web.access.auth import OPEN_PATHS
from web.edge import limits
from web.live import request_log
from web.live.request_counter import RequestCounter
from web.live.request_log import RequestLog
from web.services import Services
from workers import logs
from workers.contract.trace_context import TRACEPARENT, TRACESTATE, TraceContext
from workers.settings import Settings

#: What others ask again and again, to see whether it is there.
_UNTRACED = OPEN_PATHS | {"/metrics"}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def create_app(settings: Settings, redis: Redis | None = None) -> Flask:
    """The front end; starts and answers `/health` while Redis is away.

    Raises:
        web.access.keys.KeysError: the file of API keys cannot be read.
    """
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.compact = True  # type: ignore[attr-defined]
    services = app.extensions["inference"] = Services.start(settings, redis)
    models = [spec.id for spec in services.catalogue.all()]
    request_record.install(app, RequestCounter(services.metrics, models))
    app.before_request(_begin)
    app.after_request(_sign)
    app.teardown_request(_end)
    errors.install(app)
    hosts.install(app, settings)
    origins.install(app, settings)
    auth.install(app, settings, redis)
    limits.install(app, settings)
    routes.register(app)
    return app


def _begin() -> None:
    headers = flask.request.headers
    given = headers.get("X-Request-ID", "")
    flask.g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    flask.g.request_log = RequestLog(
        flask.g.request_id,
        TraceContext.from_headers(headers.get(TRACEPARENT, ""), headers.get(TRACESTATE, "")),
        traced=flask.request.path not in _UNTRACED,
    )
    flask.g.record.watchers.append(flask.g.request_log.end)
    flask.g.log_fields = contextlib.ExitStack()
    flask.g.log_fields.enter_context(logs.bound(**flask.g.request_log.names))


def _sign(response: Response) -> Response:
    response.headers["X-Request-ID"] = flask.g.request_id
    if errors.is_below(flask.request.path, errors.ANTHROPIC):
        response.headers["request-id"] = flask.g.request_id
    request_log.current().sign()
    return response


def _end(_error: BaseException | None) -> None:
    if "log_fields" in flask.g:
        flask.g.log_fields.close()
