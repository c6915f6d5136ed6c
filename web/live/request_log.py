"""The request log: one line for each request, and its span, when its answer has ended.

A stream's come after its last byte, with what the answer took of the time.
"""

from __future__ import annotations

import logging
import time

import flask

from web.live.completion import LiveCompletion
from web.request_record import RequestRecord
from web.schemas.refusals import excerpt
from workers import logs
from workers.contract.events import Cancelled, Completed, Failed
from workers.contract.trace_context import TraceContext
from workers.logs import Fields
from workers.tracing import recording
from workers.tracing.recording import OpenSpan
from workers.tracing.span import Attribute

log = logging.getLogger(__name__)


class RequestLog:
    """What is known of the present request."""

    def __init__(self, request_id: str, caller: TraceContext | None, *, traced: bool) -> None:
        """`caller` is the trace that it says it is a part of; `traced`: a span is made of it."""
        #: The completion that it opened, if it did.
        self.completion: LiveCompletion | None = None
        request = flask.request
        self._line = f"{request.method} {excerpt(request.path)}"
        self._bound: Fields = {}
        self._span = _begin(request_id, caller) if traced else None
        #: What is done for it belongs to this.
        self.trace = caller if self._span is None else self._span.context
        trace_id = "" if self.trace is None else self.trace.trace_id
        #: What names it on log lines.
        self.names = {"request_id": request_id, "trace_id": trace_id}

    def sign(self) -> None:
        """Keep what names the request on log lines: its answer may outlive its context."""
        self._bound = logs.bound_fields()

    def end(self, record: RequestRecord) -> None:
        """All of its answer has gone."""
        took_ms = (time.perf_counter() - record.began_at) * 1e3
        measured: Fields = {"error": record.error}
        if self.completion is not None:  # its job may be one that was asked for before
            job = self.completion.job
            measured = {"job_id": job.id, "model": job.model, **_measured(self.completion)}
        with logs.bound(**{**self._bound, **measured}):
            log.info("%s %d, %.1f ms", self._line, record.status, took_ms)
        if self._span is not None:
            self._end_span(self._span, record.status, measured)

    def _end_span(self, span: OpenSpan, status: int, measured: Fields) -> None:
        attributes: dict[str, Attribute] = {"http.response.status_code": status}
        known = {**self._bound, **measured}
        for name in ("job_id", "model", "first_token_ms"):
            if name in known:
                attributes[f"inference.{name}"] = known[name]
        # By the conventions for HTTP a server's span has an error where the server failed.
        failed = status >= 500 or (self.completion is not None and status < 400)
        error = str(measured.get("error", "")) if failed else ""
        span.end(attributes, error or (str(status) if status >= 500 else ""))


def _begin(request_id: str, caller: TraceContext | None) -> OpenSpan | None:
    """Begin its span; names and paths are those of the route, of which there are few."""
    request = flask.request
    route = request.url_rule.rule if request.url_rule is not None else ""
    attributes: dict[str, Attribute] = {
        "http.request.method": request.method,
        "url.scheme": request.scheme,
        "url.path": excerpt(request.path),
        "inference.request_id": request_id,
    }
    if route:
        attributes["http.route"] = route
    return recording.begin(f"{request.method} {route}".strip(), caller, attributes)


def current() -> RequestLog:
    """That of the present request."""
    present: RequestLog = flask.g.request_log
    return present


def _measured(completion: LiveCompletion) -> Fields:
    """How a completion ended, and where its time went; names are those of `timings_ms`."""
    first_token_ms = completion.first_token_ms
    # The tokens of a hit were spent before.
    looked_up = {} if completion.lookup is None else {"cache": completion.lookup.word}
    first: Fields = looked_up
    if first_token_ms is not None:
        first = {**looked_up, "first_token_ms": round(first_token_ms, 1)}
    match completion.end:
        case Completed(outcome=outcome):
            return {
                **first,
                **{f"{part}_ms": took for part, took in outcome.timings.rounded().items()},
                "prompt_tokens": outcome.usage.prompt_tokens,
                "cached_tokens": outcome.usage.cached_tokens,
                "completion_tokens": outcome.usage.completion_tokens,
                "finish_reason": outcome.finish_reason,
            }
        case Failed(error=error):
            return {**first, "error": str(error["code"])}
        case Cancelled():
            return {**first, "error": "JOB_CANCELLED"}
        case _:
            return {**first, "error": "CLIENT_LEFT"}
