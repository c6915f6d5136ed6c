"""Errors in the form of Anthropic's API, whose clients tell them apart by status and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.contract.errors import ContextBudgetExceeded, InferenceError

#: Our status -> theirs, where they have another for the same. 529: the service is overloaded.
_STATUS: Mapping[int, int] = {422: 400, 415: 400, 502: 500, 503: 529, 507: 500}
#: Their status -> their type; others below 500 are wrong requests.
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def status(own: int) -> int:
    """Their status for one of ours."""
    return _STATUS.get(own, own)


def body(error: InferenceError, own_status: int, request_id: str | None) -> dict[str, Any]:
    """The body of a response, or of a stream's `error` event. `code` and `details` are ours."""
    kind = _TYPES.get(status(own_status), "invalid_request_error")
    return {
        "type": "error",
        "error": {
            "type": kind,
            "message": _message(error),
            "code": error.code,
            "details": error.details,
        },
        "request_id": request_id,
    }


def _message(error: InferenceError) -> str:
    if isinstance(error, ContextBudgetExceeded):  # by these words agents know that it is time
        return f"prompt is too long: {error.message}"  # to shorten their history
    return error.message
