"""One scrape of `/metrics`, and what grew between two."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

#: Name, then labels in the order of their names.
_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Samples, and when they were taken."""

    samples: Mapping[_Key, float]
    #: By `time.monotonic`.
    at: float

    @classmethod
    def parsed(cls, text: str) -> Scrape:
        """The scrape that this text is, taken now.

        Raises:
            ValueError: it is none.
        """
        families = text_string_to_metric_families(text)
        samples = itertools.chain.from_iterable(family.samples for family in families)
        keyed = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
        return cls(keyed, time.monotonic())

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 where there are none."""
        return sum(value for _, value in self._having(name, labels))

    def most(self, name: str, **labels: str) -> float:
        """The largest of them; 0 where there are none."""
        return max((value for _, value in self._having(name, labels)), default=0.0)

    def _having(
        self, name: str, labels: Mapping[str, str]
    ) -> Iterator[tuple[Mapping[str, str], float]]:
        """The samples of this name that have these labels, each with all of its own."""
        for (named, found), value in self.samples.items():
            if named == name and labels.items() <= dict(found).items():
                yield dict(found), value

    def values(self, name: str, label: str) -> list[str]:
        """The values of a label of this metric, in their order."""
        found = (dict(labels).get(label) for named, labels in self.samples if named == name)
        return sorted({value for value in found if value is not None})

    def since(self, before: Scrape) -> Scrape:
        """What grew since then; what fell began anew, and all of it has grown."""
        grown = {}
        for key, value in self.samples.items():
            earlier = before.samples.get(key, 0.0)
            grown[key] = value - earlier if value >= earlier else value
        return Scrape(grown, self.at)

    def quantile(self, part: float, name: str, **labels: str) -> float | None:
        """The size of a histogram's values below which this part of them is; None: it has none.

        Within a bucket values are taken to lie evenly, as Prometheus' `histogram_quantile` does.
        """
        counts = dict[float, float]()
        for labelled, value in self._having(f"{name}_bucket", labels):
            bound = float(labelled["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        rank = part * counts.get(float("inf"), 0.0)
        if not rank:
            return None
        below, begin = 0.0, 0.0
        for bound, count in sorted(counts.items()):
            if count >= rank:
                is_last = bound == float("inf")
                return (
                    begin if is_last else begin + (bound - begin) * (rank - below) / (count - below)
                )
            below, begin = count, bound
        return None
