"""The engine meter: looks at what the engine uses, and counts what it did since the last look."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from workers.contract.engine_use import EngineUse
from workers.engines.base import LoadedModel
from workers.metrics import instruments, uses
from workers.metrics.process_metrics import ProcessMetrics


class EngineMeter(Collector):
    """Called at each beat of the worker's presence, on its thread."""

    def __init__(self, metrics: ProcessMetrics, model: str, engine: LoadedModel) -> None:
        self._metrics = metrics
        self._model = model
        self._engine = engine
        self._preemptions = 0

    def __call__(self) -> EngineUse:
        """What the engine uses at this moment."""
        use = self._engine.use
        more = max(0, use.preemptions - self._preemptions)
        self._preemptions = use.preemptions
        self._metrics.count(instruments.PREEMPTIONS, self._model, amount=more)
        return use

    def collect(self) -> Iterator[Metric]:
        """The gauges of this worker alone."""
        return uses.families([(self._model, self._engine.use)])
