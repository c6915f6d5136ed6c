"""Every way a request can fail: one class per stable `code`.

A class's docstring is its default message. `Retriable` errors say how long to wait
before the same request may succeed. Which HTTP status a code becomes is known only to `web`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar


class InferenceError(Exception):
    """The request could not be served."""

    code: ClassVar[str] = "INTERNAL"
    retriable: ClassVar[bool] = False
    #: Its message may quote what the caller sent: it is for the caller, and in no log.
    quotes_request: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.details = dict(details or {})
        self.retry_after_ms = retry_after_ms
        super().__init__(self.message)

    def for_log(self) -> str:
        """The code, and the message where that quotes nothing of the request."""
        return self.code if self.quotes_request else f"{self.code}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """The error as it travels inside a `Failed` event."""
        return {
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "retry_after_ms": self.retry_after_ms,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> InferenceError:
        """Rebuild an error from `to_dict`; a code of a newer worker becomes `Internal`."""
        kind = BY_CODE.get(data["code"], Internal)
        return kind(
            data.get("message"),
            details=data.get("details"),
            retry_after_ms=data.get("retry_after_ms"),
        )


class Retriable(InferenceError):
    """The request could not be served now; the same request may succeed later."""

    retriable = True
    #: Wait this long unless something better was measured.
    DEFAULT_RETRY_AFTER_MS: ClassVar[int] = 1000

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        wait = self.DEFAULT_RETRY_AFTER_MS if retry_after_ms is None else retry_after_ms
        super().__init__(message, details=details, retry_after_ms=wait)


class NonRetriable(InferenceError):
    """The request could not be served, and repeating it unchanged will not help."""


class ModelBusy(Retriable):
    """The model is busy with other requests."""

    code = "MODEL_BUSY"


class ModelLoading(Retriable):
    """The model is being loaded."""

    code = "MODEL_LOADING"


class TemporaryResource(Retriable):
    """A resource the request needs is exhausted for the moment."""

    code = "TEMPORARY_RESOURCE"


class QueueFull(Retriable):
    """The queue is full."""

    code = "QUEUE_FULL"


class NoWorker(Retriable):
    """No worker serves this model."""

    code = "NO_WORKER"


class BrokerUnavailable(Retriable):
    """Redis cannot be reached. Nothing was accepted; try again in a moment."""

    code = "BROKER_UNAVAILABLE"


class FrontEndStopping(Retriable):
    """This front end is being stopped."""

    code = "FRONT_END_STOPPING"


class WorkerLost(Retriable):
    """The worker that ran this request died."""

    code = "WORKER_LOST"


class DeadlineUnreachable(Retriable):
    """The deadline cannot be met with the present queue."""

    code = "DEADLINE_UNREACHABLE"


class RateLimited(Retriable):
    """Too many requests for this key."""

    code = "RATE_LIMITED"


class RequestTimeout(Retriable):
    """The answer did not come within the request timeout."""

    code = "REQUEST_TIMEOUT"


class ContextBudgetExceeded(NonRetriable):
    """The prompt is longer than the model's context."""

    code = "CONTEXT_BUDGET_EXCEEDED"


class CompressionFailed(NonRetriable):
    """The context could not be compressed to fit its budget."""

    code = "COMPRESSION_FAILED"


class HandoffStateInvalid(NonRetriable):
    """The state handed from one step to the next is incomplete."""

    code = "HANDOFF_STATE_INVALID"


class ModelLoadFailed(NonRetriable):
    """The model could not be loaded."""

    code = "MODEL_LOAD_FAILED"


class EngineFailed(NonRetriable):
    """The engine failed while it answered this request."""

    code = "ENGINE_FAILED"


class InsufficientMemory(NonRetriable):
    """The model does not fit into the memory that is free."""

    code = "INSUFFICIENT_MEMORY"


class ModelNotFound(NonRetriable):
    """There is no such model."""

    code = "MODEL_NOT_FOUND"


class NotEnoughModels(NonRetriable):
    """The orchestration mode needs more models than are configured."""

    code = "NOT_ENOUGH_MODELS"


class OrchestrationFailed(NonRetriable):
    """No step of the orchestration gave a usable answer."""

    code = "ORCHESTRATION_FAILED"


class WrongModelKind(NonRetriable):
    """The model does something else than what this address asks for."""

    code = "WRONG_MODEL_KIND"


class ValidationFailed(NonRetriable):
    """A field of the request is missing or wrong."""

    code = "VALIDATION_ERROR"
    quotes_request = True


class TimeBudgetExceeded(NonRetriable):
    """Preparing the request took longer than one request may take."""

    code = "TIME_BUDGET_EXCEEDED"


class ConstraintFailed(NonRetriable):
    """The answer could not be held to its schema or grammar to its end."""

    code = "CONSTRAINT_FAILED"
    quotes_request = True


class MalformedJSON(NonRetriable):
    """The body is not valid JSON."""

    code = "MALFORMED_JSON"
    quotes_request = True


class UnsupportedParameter(NonRetriable):
    """The request uses a parameter that this service does not support."""

    code = "UNSUPPORTED_PARAMETER"
    quotes_request = True


class Unauthorized(NonRetriable):
    """A valid API key is needed: send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."""

    code = "UNAUTHORIZED"


class JobNotFound(NonRetriable):
    """There is no such job, or it is no longer kept."""

    code = "JOB_NOT_FOUND"


class JobExpired(NonRetriable):
    """The job's deadline passed before it ended."""

    code = "JOB_EXPIRED"


class JobCancelled(NonRetriable):
    """The job was cancelled."""

    code = "JOB_CANCELLED"


class InvalidEventId(NonRetriable):
    """The Last-Event-ID is not one of this job's event ids."""

    code = "INVALID_EVENT_ID"


class Forbidden(NonRetriable):
    """This key may not do that."""

    code = "FORBIDDEN"


class NotFound(NonRetriable):
    """There is nothing at this address."""

    code = "NOT_FOUND"


class NotSupported(NonRetriable):
    """This part of another service's API is not here."""

    code = "NOT_SUPPORTED"


class MethodNotAllowed(NonRetriable):
    """This address does not take this method."""

    code = "METHOD_NOT_ALLOWED"


class UnsupportedMediaType(NonRetriable):
    """The body must be JSON: send 'Content-Type: application/json'."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class PayloadTooLarge(NonRetriable):
    """The body is larger than this service takes."""

    code = "PAYLOAD_TOO_LARGE"


class RequestIncomplete(NonRetriable):
    """The request did not come whole in time."""

    code = "REQUEST_INCOMPLETE"


class IdempotencyConflict(NonRetriable):
    """This Idempotency-Key was used with another body."""

    code = "IDEMPOTENCY_CONFLICT"


class JobPoisoned(NonRetriable):
    """The request killed its worker repeatedly and is set aside as a dead letter."""

    code = "JOB_POISONED"


class Internal(NonRetriable):
    """The service failed; its log has the cause under this request's id."""

    code = "INTERNAL"


def _leaves(kind: type[InferenceError]) -> list[type[InferenceError]]:
    below = [leaf for sub in kind.__subclasses__() for leaf in _leaves(sub)]
    return below or [kind]


#: Stable code -> class, of every error a caller can meet.
BY_CODE: dict[str, type[InferenceError]] = {kind.code: kind for kind in _leaves(InferenceError)}
