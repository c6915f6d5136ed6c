"""The exposition: all metrics of the service, as Prometheus reads them."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from workers.cluster.directory import Directory
from workers.metrics import state, totals

#: Seconds for which what was read is shown again: however many ask, Redis is asked once.
FRESH_S = 0.5


class Exposition(Collector):
    """What all processes count, and what Redis knows.

    While Redis is away it shows that alone: a count that is missing for a while is a gap, one that
    fell would be an error.
    """

    def __init__(self, redis: Redis, directory: Directory, models: Collection[str]) -> None:
        self._redis = redis
        self._directory = directory
        self._models = models
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._metrics: list[Metric] = []

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text and its media type, for a request with this `Accept`: OpenMetrics or older."""
        encode, media_type = choose_encoder(accept)
        return encode(self), media_type

    def collect(self) -> Iterator[Metric]:
        """Every metric, at most `FRESH_S` old."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._metrics = self._read()
                self._read_at = time.monotonic()
            return iter(self._metrics)

    def _read(self) -> list[Metric]:
        try:
            found = [*totals.read(self._redis)]
            found += state.read(self._redis, self._directory, self._models)
        except RedisError:
            return [_redis_up(False)]
        return [_redis_up(True), *found]


def _redis_up(up: bool) -> Metric:
    return GaugeMetricFamily(
        "inference_redis_up", "Whether Redis answers: 1, or 0.", value=float(up)
    )
