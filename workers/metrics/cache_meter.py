"""What caches do, counted: the hits, misses and evictions of a process, and the size of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from redis import Redis

from workers.caches import cache
from workers.caches.cache import CacheEvent, Count
from workers.contract import keys
from workers.metrics.instruments import CACHE_EVICTIONS, CACHE_HITS, CACHE_MISSES
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.series import TOTAL, Series

_INSTRUMENTS = {
    CacheEvent.HIT: CACHE_HITS,
    CacheEvent.MISS: CACHE_MISSES,
    CacheEvent.EVICTION: CACHE_EVICTIONS,
}


def count_in(metrics: ProcessMetrics) -> Count:
    """What lets caches count in this process."""

    def count(name: str, event: CacheEvent, times: int) -> None:
        metrics.count(_INSTRUMENTS[event], name, amount=times)

    return count


def counted(redis: Redis, name: str) -> Mapping[CacheEvent, int]:
    """What all processes have counted of the cache of this name.

    Raises:
        redis.RedisError: Redis is away.
    """
    series = [Series(which, (name,), TOTAL).encoded() for which in _INSTRUMENTS.values()]
    raw: Any = redis.hmget(keys.METRICS, series)
    return {event: int(float(sum_ or 0)) for event, sum_ in zip(_INSTRUMENTS, raw, strict=True)}


def sizes(redis: Redis) -> Iterator[Metric]:
    """The gauges of what caches take in Redis.

    Raises:
        redis.RedisError: Redis is away.
    """
    entries = GaugeMetricFamily(
        "inference_cache_entries", "Entries of a cache, in Redis.", labels=("cache",)
    )
    size = GaugeMetricFamily("inference_cache_bytes", "Bytes that they take.", labels=("cache",))
    for name, found in cache.all_of(redis, 0).items():
        taken = found.size()
        entries.add_metric((name,), taken.entries)
        size.add_metric((name,), taken.size_bytes)
    yield from (entries, size)
