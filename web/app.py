"""The Flask application."""

from __future__ import annotations

import contextlib
import logging
import re
import time
import uuid

import flask
from flask import Flask, Response
from redis import Redis

from web import errors, request_record, routes
from web.access import auth, hosts, origins
from web.edge import limits
from web.live.request_counter import RequestCounter
from web.schemas.refusals import excerpt
from web.services import Services
from workers import logs
from workers.settings import Settings

log = logging.getLogger(__name__)

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
    app.before_request(_begin)
    app.after_request(_sign)
    models = [spec.id for spec in services.catalogue.all()]
    request_record.install(app, RequestCounter(services.metrics, models))
    app.teardown_request(_end)
    errors.install(app)
    hosts.install(app, settings)
    origins.install(app, settings)
    auth.install(app, settings, redis)
    limits.install(app, settings)
    routes.register(app)
    return app


def _begin() -> None:
    given = flask.request.headers.get("X-Request-ID", "")
    flask.g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    flask.g.began = time.perf_counter()
    flask.g.log_fields = contextlib.ExitStack()
    flask.g.log_fields.enter_context(logs.bound(request_id=flask.g.request_id))


def _sign(response: Response) -> Response:
    response.headers["X-Request-ID"] = flask.g.request_id
    took_ms = (time.perf_counter() - flask.g.began) * 1e3
    request = flask.request
    path = excerpt(request.path)
    log.info("%s %s %d, %.1f ms", request.method, path, response.status_code, took_ms)
    return response


def _end(_error: BaseException | None) -> None:
    if "log_fields" in flask.g:
        flask.g.log_fields.close()
