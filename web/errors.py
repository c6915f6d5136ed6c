"""Errors as a caller sees them: one table of statuses, one body, one set of headers."""

from __future__ import annotations

import logging
import math
from typing import Any

import flask
from flask import Flask, Response
from kombu.exceptions import OperationalError
from redis.exceptions import OutOfMemoryError, RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.routing.exceptions import WebsocketMismatch

from web import anthropic_errors, request_record
from workers.contract import errors
from workers.contract.errors import InferenceError

log = logging.getLogger(__name__)

#: Code -> HTTP status. Every code of the contract is here; a test holds that.
STATUS: dict[str, int] = {
    "MODEL_BUSY": 503,
    "MODEL_LOADING": 503,
    "TEMPORARY_RESOURCE": 503,
    "QUEUE_FULL": 503,
    "NO_WORKER": 503,
    "BROKER_UNAVAILABLE": 503,
    "FRONT_END_STOPPING": 503,
    "WORKER_LOST": 503,
    "DEADLINE_UNREACHABLE": 503,
    "RATE_LIMITED": 429,
    "REQUEST_TIMEOUT": 504,
    "CONTEXT_BUDGET_EXCEEDED": 400,
    "COMPRESSION_FAILED": 400,
    "HANDOFF_STATE_INVALID": 500,
    "MODEL_LOAD_FAILED": 500,
    "ENGINE_FAILED": 500,
    "INSUFFICIENT_MEMORY": 507,
    "MODEL_NOT_FOUND": 404,
    "NOT_ENOUGH_MODELS": 400,
    "WRONG_MODEL_KIND": 400,
    "ORCHESTRATION_FAILED": 502,
    "VALIDATION_ERROR": 422,
    "TIME_BUDGET_EXCEEDED": 422,
    "CONSTRAINT_FAILED": 422,
    "MALFORMED_JSON": 400,
    "UNSUPPORTED_PARAMETER": 400,
    "UNAUTHORIZED": 401,
    "JOB_NOT_FOUND": 404,
    "JOB_EXPIRED": 504,
    "JOB_CANCELLED": 409,
    "INVALID_EVENT_ID": 400,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "NOT_SUPPORTED": 404,
    "METHOD_NOT_ALLOWED": 405,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "PAYLOAD_TOO_LARGE": 413,
    "REQUEST_INCOMPLETE": 408,
    "IDEMPOTENCY_CONFLICT": 409,
    "JOB_POISONED": 500,
    "INTERNAL": 500,
}

#: What werkzeug raises by itself, in our words.
_OF_WERKZEUG: dict[int, type[InferenceError]] = {
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
}

#: Below these addresses are other services' APIs, of which the page says how much is here.
PAGES: dict[str, str] = {
    "/v1/messages": "docs/MESSAGES.md",
    "/v1/responses": "docs/RESPONSES.md",
    "/v1/conversations": "docs/RESPONSES.md",
}
#: Here errors have the form of Anthropic's API.
ANTHROPIC = "/v1/messages"


def is_below(path: str, address: str) -> bool:
    """Whether a path is this address, or one below it."""
    return path == address or path.startswith(address + "/")


def page_of(path: str) -> str | None:
    """The page of the API that an address is of; None where it is of none."""
    return next((page for address, page in PAGES.items() if is_below(path, address)), None)


def status_at(path: str, error: InferenceError) -> int:
    """The status of an error at an address."""
    own = STATUS[error.code]
    return anthropic_errors.status(own) if is_below(path, ANTHROPIC) else own


def body_at(path: str, error: InferenceError, request_id: str | None = None) -> dict[str, Any]:
    """The body of an error at an address: in the one format, or in that of the API it is of."""
    if is_below(path, ANTHROPIC):
        return anthropic_errors.body(error, STATUS[error.code], request_id)
    return body(error)


def body(error: InferenceError) -> dict[str, Any]:
    """The one error format, in a response and in a stream's frame alike."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "type": "retriable" if error.retriable else "non_retriable",
            # Where clients of OpenAI's API look for it.
            "param": error.details.get("param"),
            "provider": "inference-service",
            "details": error.details,
        }
    }


def response(error: InferenceError) -> Response:
    """The response that carries an error."""
    request_record.failed(error.code)
    path = flask.request.path
    answer = flask.jsonify(body_at(path, error, flask.g.get("request_id")))
    answer.status_code = status_at(path, error)
    if error.retriable and error.retry_after_ms is not None:
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
        answer.headers["retry-after-ms"] = str(error.retry_after_ms)
    elif answer.status_code >= 500:
        answer.headers["x-should-retry"] = "false"
    if isinstance(error, errors.QueueFull) and "position" in error.details:
        answer.headers["X-Queue-Position"] = str(error.details["position"])
    if isinstance(error, errors.Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def install(app: Flask) -> None:
    """Let every error of this application end in the one format."""
    app.register_error_handler(InferenceError, response)
    app.register_error_handler(RedisError, _broker_away)
    app.register_error_handler(OperationalError, _broker_away)
    app.register_error_handler(HTTPException, _of_werkzeug)
    app.register_error_handler(Exception, _unexpected)


def _broker_away(error: Exception) -> Response:
    if isinstance(error, OutOfMemoryError) or str(error).startswith("OOM "):
        log.error("Redis has no memory left: %s", error)
        return response(errors.TemporaryResource("Redis has no memory left. Nothing was accepted."))
    if str(error).startswith("MISCONF"):
        log.error("Redis cannot write to its disk: %s", error)
        return response(
            errors.TemporaryResource(
                "Redis cannot write to its disk; is it full? Nothing was accepted."
            )
        )
    log.warning("Redis is unavailable: %s", error)
    return response(errors.BrokerUnavailable())


def _of_werkzeug(error: HTTPException) -> Response:
    if isinstance(error, WebsocketMismatch):
        opens = flask.request.headers.get("Upgrade", "").lower() == "websocket"
        takes = "no WebSockets" if opens else "WebSockets only: connect with ws:// or wss://"
        return response(
            errors.ValidationFailed(
                f"This address takes {takes}.", details={"path": flask.request.path}
            )
        )
    status = error.code or 500
    if status < 400:
        return flask.make_response(error.get_response())
    kind = _OF_WERKZEUG.get(status)
    if kind is None:
        kind = errors.ValidationFailed if status < 500 else errors.Internal
    details: dict[str, Any] = {"path": flask.request.path}
    if status in (404, 405) and (page := page_of(flask.request.path)) is not None:
        return response(
            errors.NotSupported(
                f"This part of the API is not here; {page} says which parts are.",
                details={**details, "page": page},
            )
        )
    if status == 405:
        allowed = sorted(getattr(error, "valid_methods", None) or ())
        details = {"method": flask.request.method, "allowed": allowed}
    answer = response(
        kind(error.description if kind is errors.ValidationFailed else None, details=details)
    )
    if status == 405:
        answer.headers["Allow"] = ", ".join(details["allowed"])
    return answer


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    request_id = flask.g.get("request_id", "")
    return response(
        errors.Internal(
            f"The service failed; its log has the cause under request {request_id}.",
            details={"request_id": request_id},
        )
    )
