"""The reporter: tells once a second what its process has counted since it told last.

Redis has the sums over all processes. So a count survives the process that made it, never goes
backwards, and any front end can show it. What a process that is killed had counted since it told
last is lost: a second's work.
"""

from __future__ import annotations

import logging
import uuid

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.lua.scripts import run
from workers.metrics import series
from workers.metrics.process_metrics import ProcessMetrics

log = logging.getLogger(__name__)

#: Seconds between two reports.
REPORT_S = 1.0
#: What is told more than once is told again within this; far longer than a report waits.
_KNOWN_MS = 86_400_000
#: Series in Redis at most, over all processes: a bound for what labels cannot reach by themselves.
MOST_SERIES = 50_000
#: Seconds that the last report may take when the process ends.
_LAST_WITHIN_S = 2.0


class MetricsReporter(BackgroundThread):
    """A thread that reports; what it could not tell it tells with what comes next."""

    def __init__(self, redis: Redis, metrics: ProcessMetrics) -> None:
        super().__init__("metrics", ends_within_s=_LAST_WITHIN_S)
        self._redis = redis
        self._metrics = metrics
        self._process = uuid.uuid4().hex
        self._number = 1
        #: Series -> what Redis has of it from this process.
        self._told: dict[str, float] = {}
        #: A report whose answer did not come: Redis may have it.
        self._unanswered: dict[str, float] = {}

    def start(self) -> None:
        """Start to report; not where nothing is counted."""
        if self._metrics.enabled:
            super().start()

    def report(self) -> None:
        """Tell what was counted since the last report.

        Raises:
            redis.RedisError: Redis is away; the same is told again next time.
        """
        growth = self._unanswered or self._growth()
        if not growth:
            return
        self._unanswered = growth
        arguments = [part for series_, by in growth.items() for part in (series_, repr(by))]
        left_out = run(
            self._redis, "count", self._process, self._number, _KNOWN_MS, MOST_SERIES, *arguments
        )
        if left_out:
            log.warning("metrics: %d series are left out, there are too many", left_out)
        for name, by in growth.items():
            self._told[name] = self._told.get(name, 0.0) + by
        self._unanswered = {}
        self._number += 1

    def _growth(self) -> dict[str, float]:
        grown = {}
        for counted, value in series.counted(self._metrics.registry):
            name = counted.encoded()
            if by := value - self._told.get(name, 0.0):
                grown[name] = by
        return grown

    def _run(self) -> None:
        ends = False
        while not ends:
            ends = self._ending.wait(REPORT_S)
            try:
                self.report()
            except RedisError as error:
                log.debug("metrics cannot be told while Redis is unavailable: %s", error)
            except Exception:  # what is shown of the service must not end it
                log.exception("unexpected error while metrics are told")
