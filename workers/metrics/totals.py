"""Totals: what all processes have counted, as it is read from Redis."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString
from redis import Redis

from workers.contract import keys
from workers.metrics.instruments import INSTRUMENTS, Instrument, Kind
from workers.metrics.series import COUNT, SUM, TOTAL, Series

#: Labels -> part -> number.
_Numbers = Mapping[tuple[str, ...], Mapping[str, float]]


def read(redis: Redis) -> list[Metric]:
    """Every instrument with the sums over all processes.

    Raises:
        redis.RedisError: Redis is away.
    """
    raw: Any = redis.hgetall(keys.METRICS)
    return list(families(raw.items()))


def families(sums: Iterable[tuple[bytes, bytes]]) -> Iterator[Metric]:
    """The metrics that these sums are of; one without any is there with nothing in it."""
    numbers: dict[str, dict[tuple[str, ...], dict[str, float]]] = defaultdict(dict)
    for name, value in sums:
        series = Series.decoded(name)
        if series is not None:
            of_instrument = numbers[series.instrument.name]
            of_instrument.setdefault(series.labels, {})[series.part] = float(value)
    for instrument in INSTRUMENTS.values():
        yield _family(instrument, numbers[instrument.name])


def _family(instrument: Instrument, numbers: _Numbers) -> Metric:
    if instrument.kind is Kind.HISTOGRAM:
        return _histogram(instrument, numbers)
    counter = CounterMetricFamily(instrument.name, instrument.help, labels=instrument.labels)
    if not instrument.labels and not numbers:
        numbers = {(): {TOTAL: 0.0}}  # nothing has happened yet, which a rule must see
    for labels, parts in sorted(numbers.items()):
        counter.add_metric(labels, parts.get(TOTAL, 0.0))
    return counter


def _histogram(instrument: Instrument, numbers: _Numbers) -> Metric:
    histogram = HistogramMetricFamily(instrument.name, instrument.help, labels=instrument.labels)
    for labels, parts in sorted(numbers.items()):
        counts = [parts.get(floatToGoString(bound), 0.0) for bound in instrument.buckets]
        bounds = itertools.chain(map(floatToGoString, instrument.buckets), ["+Inf"])
        buckets = list(zip(bounds, [*counts, parts.get(COUNT, 0.0)], strict=True))
        histogram.add_metric(labels, buckets, parts.get(SUM, 0.0))
    return histogram
