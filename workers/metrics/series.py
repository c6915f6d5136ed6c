"""Series: how the samples of a process are named in the sums over all processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from workers.metrics.instruments import INSTRUMENTS, Instrument, Kind

#: The parts of a histogram beside its buckets.
COUNT, SUM = "count", "sum"
#: The one part of a counter.
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Series:
    """One number that only grows."""

    instrument: Instrument
    #: In the instrument's order.
    labels: tuple[str, ...]
    #: `total`, `count`, `sum`, or the upper bound of a bucket; each counts those before it, too.
    part: str

    def encoded(self) -> str:
        """Its name in Redis."""
        return json.dumps([self.instrument.name, self.part, *self.labels], separators=(",", ":"))

    @classmethod
    def decoded(cls, raw: bytes) -> Series | None:
        """The series of this name; None for one that only another version knows."""
        name, part, *labels = json.loads(raw)
        instrument = INSTRUMENTS.get(name)
        if instrument is None or len(labels) != len(instrument.labels):
            return None
        return cls(instrument, tuple(labels), part)


def counted(registry: CollectorRegistry) -> Iterator[tuple[Series, float]]:
    """All that a process has counted; gauges are not counted."""
    for family in registry.collect():
        instrument = INSTRUMENTS.get(family.name)
        if instrument is None:
            continue
        for sample in family.samples:
            if (part := _part(instrument, sample)) is not None:
                labels = tuple(sample.labels[label] for label in instrument.labels)
                yield Series(instrument, labels, part), sample.value


def _part(instrument: Instrument, sample: Sample) -> str | None:
    """Which number of its metric a sample is; None for the time at which it was made."""
    ending = sample.name.removeprefix(f"{instrument.name}_")
    if instrument.kind is Kind.COUNTER:
        return TOTAL if ending == TOTAL else None
    if ending == "bucket":
        return sample.labels["le"] if sample.labels["le"] != "+Inf" else None  # it is the count
    return ending if ending in (COUNT, SUM) else None
