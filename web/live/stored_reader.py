"""A reader of events that are all there: those of an answer that was made before."""

from __future__ import annotations

from collections.abc import Sequence

from workers.contract.events import Event


class StoredReader:
    """As `web.live.hub.Reader`, of a job that never was."""

    #: The job cannot be deleted: there is none.
    gone = False

    def __init__(self, events: Sequence[Event]) -> None:
        """`events` end with a terminal one."""
        self._events = list(events)
        #: Number of the last event given out.
        self.seq = 0

    def stop(self) -> None:
        """This front end ends; what is there is read all the same."""

    def batch(self, timeout_s: float) -> list[Event]:
        """All events, once; `timeout_s` is not waited."""
        events, self._events = self._events, []
        if events:
            self.seq = events[-1].seq
        return events
