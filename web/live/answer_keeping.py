"""What the semantic cache gets of a live completion, and what the answer tells of the cache."""

from __future__ import annotations

from dataclasses import replace

from orchestration.semantic.lookup import Hit, Lookup, Miss, SemanticLookup
from workers.contract.events import Completed, Event
from workers.contract.job import Job


class AnswerKeeping:
    """Of one answer, while it is read."""

    def __init__(self, semantic: SemanticLookup | None) -> None:
        """`semantic`: None where it is off."""
        self._semantic = semantic
        #: All that were read, where the answer may be kept.
        self._said: list[Event] = []

    def with_lookup(self, job: Job, lookup: Lookup | None, events: list[Event]) -> list[Event]:
        """The events that were read now, of which the last one says what the cache had.

        With the last one the answer is kept, if it may be. `lookup`: None where it was not asked.
        """
        if lookup is None or isinstance(lookup, Hit):
            return events
        if isinstance(lookup, Miss) and lookup.scope is not None:
            self._said += events
        last = events[-1]
        if not isinstance(last, Completed):
            return events
        if isinstance(lookup, Miss) and self._semantic is not None:
            self._semantic.keep(job, lookup, self._said)
        return [*events[:-1], replace(last, cache=lookup.describe())]
