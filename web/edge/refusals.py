"""Refusals of what never becomes a request, in the one error format: the server writes them."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass

from gunicorn.http import errors as http

from web import errors
from web.edge.chunked import WrongChunk
from workers.contract.errors import (
    InferenceError,
    Internal,
    PayloadTooLarge,
    RequestIncomplete,
    TemporaryResource,
    ValidationFailed,
)

#: gunicorn's own statuses, where they tell more than our codes do.
_STATUS: dict[type[Exception], tuple[int, str]] = {
    http.LimitRequestLine: (414, "URI Too Long"),
    http.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    http.ExpectationFailed: (417, "Expectation Failed"),
    http.UnsupportedTransferCoding: (501, "Not Implemented"),
}
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Reason(enum.Enum):
    """Why: the label of `inference_refused_requests_total`."""

    HEAD_TOO_LARGE = "head_too_large"
    WRONG_HEAD = "wrong_head"
    WRONG_CHUNK = "wrong_chunk"
    LATE_HEAD = "late_head"
    LATE_BODY = "late_body"
    #: Too many requests are on their way in.
    CROWD = "crowd"
    #: The system lacks what a connection takes; it is closed without an answer.
    EXHAUSTED = "exhausted"
    #: Reading it failed with an unexpected error.
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and the bytes of the answer."""

    reason: Reason
    answer: bytes


def of_wrong(problem: Exception) -> Refusal:
    """Of a head or a chunk that is wrong."""
    status, reason = _STATUS.get(type(problem), (400, _REASONS[400]))
    detail = str(problem)[:200]
    error: InferenceError
    if status in (414, 431):
        why = Reason.HEAD_TOO_LARGE
        error = PayloadTooLarge(
            f"The request's line or headers are too large: {detail}.", details={"bound": "head"}
        )
    elif isinstance(problem, WrongChunk):
        why = Reason.WRONG_CHUNK
        error = ValidationFailed(f"The body is not chunked as HTTP has it: {detail}.")
    else:
        why = Reason.WRONG_HEAD
        error = ValidationFailed(f"This is no HTTP request: {detail}.")
    return Refusal(why, _response(status, reason, error))


def of_late_head(timeout_s: float) -> Refusal:
    """Of a request whose head did not come whole in time."""
    return Refusal(Reason.LATE_HEAD, _late("head", "INFERENCE_HEAD_TIMEOUT_S", timeout_s))


def of_late_body(timeout_s: float) -> Refusal:
    """Of a request whose body did not come whole in time."""
    return Refusal(Reason.LATE_BODY, _late("body", "INFERENCE_BODY_TIMEOUT_S", timeout_s))


def _late(what: str, setting: str, timeout_s: float) -> bytes:
    error = RequestIncomplete(
        f"The request's {what} did not come within {timeout_s:g} s ({setting}).",
        details={"timeout_s": timeout_s},
    )
    return _response(408, _REASONS[408], error)


def of_crowd(most: int) -> Refusal:
    """Of the oldest of too many requests that are not whole."""
    error = TemporaryResource(
        f"More than {most} requests are on their way in (INFERENCE_MAX_INCOMPLETE_CONNECTIONS), "
        "and this is the oldest. Send it again.",
        details={"bound": "incomplete", "limit": most},
    )
    return Refusal(Reason.CROWD, _response(503, _REASONS[503], error))


def of_failure() -> Refusal:
    """Of a request that an unexpected error ended."""
    return Refusal(Reason.INTERNAL, _response(500, _REASONS[500], Internal()))


def _response(status: int, reason: str, error: InferenceError) -> bytes:
    content = json.dumps(errors.body(error), separators=(",", ":")).encode()
    wait = ""
    if error.retriable and error.retry_after_ms is not None:
        wait = f"Retry-After: {math.ceil(error.retry_after_ms / 1000)}\r\n"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"{wait}Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
