"""What one process has counted since it began."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.registry import Collector

from workers.metrics.instruments import INSTRUMENTS, Instrument, Kind


class ProcessMetrics:
    """The counts of this process; safe from any thread.

    `enabled` false: nothing is counted.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.enabled = enabled
        self._metrics: dict[str, Counter | Histogram] = {
            name: self._made(instrument) for name, instrument in INSTRUMENTS.items()
        }

    def count(self, instrument: Instrument, *labels: str, amount: float = 1.0) -> None:
        """Add to a counter. `labels` are values, in the instrument's order."""
        if self.enabled and amount:
            metric = self._metrics[instrument.name]
            (metric.labels(*labels) if labels else metric).inc(amount)  # type: ignore[union-attr]

    def observe(self, instrument: Instrument, *labels: str, value: float, times: int = 1) -> None:
        """Add a value to a histogram, so many times."""
        if not self.enabled:
            return
        child = self._metrics[instrument.name].labels(*labels)
        for _ in range(times):
            child.observe(value)  # type: ignore[union-attr]

    def collect_from(self, collector: Collector) -> None:
        """Let something else that counts belong to this process's counts."""
        if self.enabled:
            self.registry.register(collector)

    def _made(self, instrument: Instrument) -> Counter | Histogram:
        name, help_, labels = instrument.name, instrument.help, instrument.labels
        if instrument.kind is Kind.COUNTER:
            return Counter(name, help_, labels, registry=self.registry)
        return Histogram(name, help_, labels, buckets=instrument.buckets, registry=self.registry)
