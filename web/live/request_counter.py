"""The request counter: counts each request by what it asked for and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterable

from web.request_record import RequestRecord
from workers.metrics import instruments
from workers.metrics.instruments import NONE, UNKNOWN
from workers.metrics.process_metrics import ProcessMetrics

#: Any word may stand where a method stands; this is OpenTelemetry's for all others.
OTHER_METHOD = "_OTHER"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounter:
    """Called once for each request. What a caller made up has one label for all of it."""

    def __init__(self, metrics: ProcessMetrics, models: Iterable[str]) -> None:
        self._metrics = metrics
        self._models = frozenset(models)

    def __call__(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        route = record.route or UNKNOWN
        method = record.method if record.method in _METHODS else OTHER_METHOD
        code = str(record.status)
        mode = record.job.mode if record.job is not None else ""
        labels = (route, method, self._model(record), mode or NONE, code, record.error)
        self._metrics.count(instruments.REQUESTS, *labels)
        took_s = time.perf_counter() - record.began_at
        self._metrics.observe(instruments.HTTP_DURATION, route, method, code, value=took_s)

    def _model(self, record: RequestRecord) -> str:
        if record.job is None:
            return NONE
        return record.job.model if record.job.model in self._models else UNKNOWN
