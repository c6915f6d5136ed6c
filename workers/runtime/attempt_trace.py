"""The trace of one attempt at a step, which its worker records when it has ended.

The thread that ran it does that, after the last write: what decodes notices nothing.
"""

from __future__ import annotations

import dataclasses
import time

from workers.contract.step import Timings
from workers.engines.base import Delta
from workers.store.leases import Lease
from workers.tracing import attempts, genai, recording
from workers.tracing.attempts import Attempt, AttemptTimes

#: How an attempt ended that another worker goes on with.
HANDED_BACK = "handed_back"


class AttemptTrace:
    """Made when a worker has taken a step's lease."""

    def __init__(self, lease: Lease, loaded_ago_ms: float) -> None:
        """`loaded_ago_ms`: milliseconds since its model was loaded; 0 where none waited for it."""
        self._lease = lease
        self._taken_ns = time.time_ns()
        self._loaded_ago_ms = loaded_ago_ms
        #: The code of what it failed with; "" where it did not.
        self.error = ""

    def record(self, before: Timings, last: Delta, text: str) -> None:
        """Record the attempt, which has just ended.

        `before` is what was spent before the engine's own work, `last` the engine's last delta,
        `text` the step's text so far.
        """
        lease, trace = self._lease, self._lease.job.trace
        if trace is None or not recording.is_recorded(trace):
            return
        finish_reason = self._finish_reason(last)
        sampling = lease.job.sampling if lease.assignment is None else lease.assignment.sampling
        attributes = {**genai.of_sampling(sampling), **genai.of_end(finish_reason, last.usage)}
        if recording.has_content():
            attributes |= genai.content(
                lease.job, lease.request, lease.assignment, text, finish_reason
            )
        spent = dataclasses.replace(
            last.timings or Timings(), loading_ms=before.loading_ms, template_ms=before.template_ms
        )
        times = AttemptTimes(
            self._taken_ns, time.time_ns(), lease.waited_ms, spent, self._loaded_ago_ms
        )
        attempt = Attempt(lease.job, trace, lease.request, lease.attempt)
        recording.record(*attempts.spans(attempt, times, attributes, self.error))

    def _finish_reason(self, last: Delta) -> str:
        if self.error or last.finish_reason is None:
            return "error"
        if last.finish_reason == "cancelled" and self._lease.giving_back.is_set():
            return HANDED_BACK
        return last.finish_reason
