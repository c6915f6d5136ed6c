"""The trace of a webhook's delivery, which its receiver can go on with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from workers.contract.trace_context import TraceContext
from workers.store.webhook_attempts import Attempt
from workers.tracing import recording
from workers.tracing.span import Attribute, Kind, Span, id_of


class Delivery:
    """One attempt to call a webhook, made before it is sent."""

    def __init__(self, job_id: str, trace: Mapping[str, Any] | None) -> None:
        """`trace` is that of the job, as its record has it."""
        self._trace = None if trace is None else TraceContext.from_dict(trace)
        self._began_ns = time.time_ns()
        self._id = id_of(job_id, "webhook", self._began_ns)

    def headers(self) -> dict[str, str]:
        """What names the trace to the receiver: as part of this delivery, where it is recorded."""
        if self._trace is None:
            return {}
        recorded = recording.is_recorded(self._trace)
        return (self._trace.child(self._id) if recorded else self._trace).headers()

    def record(self, url: str, attempt: Attempt, number: int) -> None:
        """Record how it went; of the address its host alone."""
        if self._trace is None or not recording.is_recorded(self._trace):
            return
        attributes: dict[str, Attribute] = {
            "http.request.method": "POST",
            "server.address": urlsplit(url).hostname or "",
            "inference.webhook.attempt": number,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        error = "" if attempt.delivered else str(attempt.status or "WEBHOOK_FAILED")
        recording.record(
            Span(
                "webhook",
                self._id,
                self._trace,
                self._began_ns,
                time.time_ns(),
                attributes,
                Kind.CLIENT,
                error,
            )
        )
