"""The request's record: what is known of a request until the last byte of its answer has gone.

Who watches over requests (metrics, the access log) is called once for each, when its response has
been closed. A stream outlives the request's own context, so what makes it takes the record along.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import flask
from flask import Flask, Response

from workers.contract.job import Job

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestRecord:
    """One request."""

    method: str
    #: The address as it is declared, such as `/v1/jobs/<job_id>`; None where there is none.
    route: str | None
    #: By `time.perf_counter`.
    began_at: float = field(default_factory=time.perf_counter)
    #: What it asked for: once accepted, as it is stored. None where it asked for no completion.
    job: Job | None = None
    #: Of the response.
    status: int = 0
    #: Code of the error that it ended with; "" where it ended well.
    error: str = ""
    #: Who watches over this request alone.
    watchers: list[OnEnd] = field(default_factory=list)


#: Called once for each request, when all of its answer has gone.
OnEnd = Callable[[RequestRecord], None]


def install(app: Flask, *on_end: OnEnd) -> None:
    """Keep a record of every request of this application; goes before what may refuse one."""

    def begin() -> None:
        rule = flask.request.url_rule
        flask.g.record = RequestRecord(flask.request.method, None if rule is None else rule.rule)

    def sign(response: Response) -> Response:
        record: RequestRecord = flask.g.record
        record.status = response.status_code
        if response.status_code == 101:  # the WebSocket has ended; nothing of it is sent or closed
            _end(record, on_end)
        else:
            response.call_on_close(lambda: _end(record, on_end))
        return response

    app.before_request(begin)
    app.after_request(sign)


def current() -> RequestRecord | None:
    """The present request's; None where there is no request, or none that is kept a record of."""
    return flask.g.get("record") if flask.has_request_context() else None


def asks_for(job: Job) -> None:
    """The present request asks for this job, or has been given it."""
    if (record := current()) is not None:
        record.job = job


def failed(code: str) -> None:
    """The present request ends with an error of this code."""
    if (record := current()) is not None:
        record.error = code


def _end(record: RequestRecord, on_end: tuple[OnEnd, ...]) -> None:
    for each in (*on_end, *record.watchers):
        try:
            each(record)
        except Exception:  # whoever watches must not end what is watched
            log.exception("unexpected error after a request")
