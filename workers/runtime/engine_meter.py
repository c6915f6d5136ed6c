"""The engine meter: looks at what the engine uses, and counts what it did since the last look."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from workers.contract.engine_use import EngineUse
from workers.engines.base import LoadedModel
from workers.metrics import instruments, uses
from workers.metrics.instruments import Instrument
from workers.metrics.process_metrics import ProcessMetrics


class EngineMeter(Collector):
    """Called at each beat of the worker's presence, on its thread."""

    def __init__(self, metrics: ProcessMetrics, model: str, engine: LoadedModel) -> None:
        self._metrics = metrics
        self._model = model
        self._engine = engine
        self._last = EngineUse()

    def __call__(self) -> EngineUse:
        """What the engine uses at this moment."""
        use = self._engine.use
        last, self._last = self._last, use
        preempted = use.preemptions - last.preemptions
        written = use.prompts_written - last.prompts_written
        restored = use.prompts_restored - last.prompts_restored
        accepted = use.accepted_tokens - last.accepted_tokens
        rejected = use.drafted_tokens - last.drafted_tokens - accepted
        self._count(instruments.PREEMPTIONS, preempted)
        self._count(instruments.PROMPTS_ON_DISK, written, "written")
        self._count(instruments.PROMPTS_ON_DISK, restored, "restored")
        self._count(instruments.DRAFTED_TOKENS, accepted, "accepted")
        self._count(instruments.DRAFTED_TOKENS, rejected, "rejected")
        return use

    def _count(self, counter: Instrument, amount: int, *labels: str) -> None:
        if amount > 0:  # what counts on another thread may be between two of its numbers
            self._metrics.count(counter, self._model, *labels, amount=amount)

    def collect(self) -> Iterator[Metric]:
        """The gauges of this worker alone."""
        return uses.families([(self._model, self._engine.use)])
