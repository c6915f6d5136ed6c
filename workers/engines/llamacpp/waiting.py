"""Sequences without cells in the pool: which of them is admitted next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from workers.engines.llamacpp.sequence import Sequence

#: The most urgent first, then the oldest: by negative priority, then age.
Rank = tuple[int, int]


class WaitingSequences:
    """A heap of sequences; it also knows the rank of those that were admitted."""

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, Sequence]] = []
        self._ranks: dict[Sequence, Rank] = {}
        self._ages = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Sequence]:
        return iter([sequence for _, sequence in self._heap])

    @property
    def first(self) -> Sequence:
        """The next one."""
        return self._heap[0][1]

    def add(self, sequence: Sequence) -> None:
        """A sequence waits; one that waits again keeps its age."""
        rank = self._ranks.get(sequence)
        if rank is None:
            rank = self._ranks[sequence] = (-sequence.request.priority, next(self._ages))
        heapq.heappush(self._heap, (rank, sequence))

    def pop(self) -> Sequence:
        """Take the next one out; its rank stays known until it is forgotten."""
        return heapq.heappop(self._heap)[1]

    def take_cancelled(self) -> list[Sequence]:
        """Take out those whose callers have gone."""
        cancelled = [sequence for sequence in self if sequence.is_cancelled]
        if cancelled:
            self._heap = [entry for entry in self._heap if entry[1] not in cancelled]
            heapq.heapify(self._heap)
        return cancelled

    def rank(self, sequence: Sequence) -> Rank:
        """The rank of a sequence that waits or was admitted."""
        return self._ranks[sequence]

    def forget(self, sequence: Sequence) -> None:
        """A sequence has ended."""
        del self._ranks[sequence]
