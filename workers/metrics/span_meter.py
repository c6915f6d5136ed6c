"""The span meter: counts which spans of this process the collector takes, and which it does not."""

from __future__ import annotations

from workers.metrics import instruments
from workers.metrics.process_metrics import ProcessMetrics
from workers.tracing.recording import OnExport


def span_meter(metrics: ProcessMetrics) -> OnExport:
    """What is told of each attempt to send spans; safe from any thread."""

    def count(spans: int, arrived: bool) -> None:
        metrics.count(instruments.SPANS, "sent" if arrived else "dropped", amount=spans)

    return count
