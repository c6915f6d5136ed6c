"""The step meter: measures one attempt at a step, as its worker sees it."""

from __future__ import annotations

import time

from workers.contract.step import Outcome, tries
from workers.metrics import instruments
from workers.metrics.instruments import PROVIDER
from workers.metrics.process_metrics import ProcessMetrics
from workers.store.leases import Lease
from workers.tracing import genai

#: Outcomes of attempts that gave no outcome of their own.
ERROR, CANCELLED, HANDED_BACK = "error", "cancelled", "handed_back"


class StepMeter:
    """One attempt, from its lease to its end. Used by the one thread that runs the step."""

    def __init__(self, metrics: ProcessMetrics, lease: Lease) -> None:
        self._metrics = metrics
        job, request = lease.job, lease.request
        self._model, self._mode = request.model, job.mode
        self._gen_ai = (genai.operation(job), PROVIDER, request.model)
        self._waited_s = max(0.0, lease.waited_ms / 1000)
        self._goes_on = bool(lease.produced)
        self._began_at = time.perf_counter()
        self._first_at: float | None = None
        self._last_at = 0.0
        self._tokens = 0
        priority = job.priority.name.lower()
        metrics.observe(instruments.QUEUE_WAIT, request.model, priority, value=self._waited_s)
        if lease.attempt > 1:
            metrics.count(instruments.RECOVERED_STEPS, request.model)
        elif tries(request.step) > 1:
            metrics.count(instruments.RETRIED_STEPS, request.model, job.mode)

    def gave(self, tokens: int) -> None:
        """So many tokens came now, together."""
        now, before = time.perf_counter(), self._last_at
        self._last_at = now
        self._tokens += tokens
        if self._first_at is not None:
            gap_s = (now - before) / tokens
            self._metrics.observe(
                instruments.BETWEEN_TOKENS, self._model, value=gap_s, times=tokens
            )
            return
        self._first_at = now
        if not self._goes_on:  # else the first token was another attempt's
            waited_s = self._waited_s + now - self._began_at
            self._metrics.observe(instruments.FIRST_TOKEN, *self._gen_ai, value=waited_s)

    def ended(self, outcome: Outcome) -> None:
        """The step has its outcome."""
        usage = outcome.usage
        for kind, tokens in (
            ("input", usage.prompt_tokens),
            ("output", usage.completion_tokens),
            ("cached", usage.cached_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            self._metrics.count(instruments.TOKENS, self._model, kind, amount=tokens)
        if self._first_at is not None and self._tokens > 1:
            per_token_s = (self._last_at - self._first_at) / (self._tokens - 1)
            self._metrics.observe(instruments.PER_TOKEN, *self._gen_ai, value=per_token_s)
        self._end(outcome.finish_reason)

    def failed(self, code: str) -> None:
        """The step ended with an error of this code."""
        self._end(ERROR, code)

    def stopped(self, outcome: str) -> None:
        """The attempt ended without the step: `cancelled` or `handed_back`."""
        self._metrics.count(instruments.STEPS, self._model, self._mode, outcome)

    def _end(self, outcome: str, error: str = "") -> None:
        self._metrics.count(instruments.STEPS, self._model, self._mode, outcome)
        took_s = self._waited_s + time.perf_counter() - self._began_at
        self._metrics.observe(instruments.DURATION, *self._gen_ai, error, value=took_s)
