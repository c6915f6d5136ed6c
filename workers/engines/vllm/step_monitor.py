"""Whether vLLM makes steps, and what it uses: it reports every step, also one that only reads."""

from __future__ import annotations

import time
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from workers.contract.engine_use import EngineUse


class StepMonitor:
    """When vLLM last made a step, how many requests it has, and what it said of itself then."""

    def __init__(self) -> None:
        self._stepped_at = time.monotonic()
        self._running = 0
        #: Requests of the last step.
        self._rows = 0
        #: The part of the KV pool that was taken then, from 0 to 1.
        self._kv_usage = 0.0
        self._preemptions = 0

    @property
    def stalled_s(self) -> float:
        """Seconds since the last step, while there is work; 0 where there is none."""
        return time.monotonic() - self._stepped_at if self._running else 0.0

    def stepped(self) -> None:
        """A step was made."""
        self._stepped_at = time.monotonic()

    def report(self, scheduler: SchedulerStats | None, iteration: IterationStats | None) -> None:
        """A step was made, and vLLM says this of it."""
        self.stepped()
        if scheduler is not None:
            self._rows, self._kv_usage = scheduler.num_running_reqs, scheduler.kv_cache_usage
        if iteration is not None:
            self._preemptions += iteration.num_preempted_reqs

    def use(self, most_kv_cells: int | None) -> EngineUse:
        """What vLLM used in its last step; what its pool keeps of prompts it does not tell."""
        cells = None if most_kv_cells is None else round(self._kv_usage * most_kv_cells)
        return EngineUse(self._rows, cells, most_kv_cells, preemptions=self._preemptions)

    def began(self) -> None:
        """There is one more request. Called on the event loop, as is `ended`."""
        if not self._running:
            self.stepped()
        self._running += 1

    def ended(self) -> None:
        """There is one less."""
        self._running -= 1

    def logger(self, _config: Any, _engine: int = 0) -> StatLoggerBase:
        """The logger to which vLLM reports its steps."""
        return _Steps(self)


class _Steps(StatLoggerBase):  # type: ignore[misc]
    def __init__(self, monitor: StepMonitor) -> None:
        self._monitor = monitor

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        *_: Any,
        **__: Any,
    ) -> None:
        self._monitor.report(scheduler_stats, iteration_stats)

    def log_engine_initialized(self) -> None:
        self._monitor.stepped()
