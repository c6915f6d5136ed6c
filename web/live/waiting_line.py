"""The line of requests that wait to be accepted, where a full service does not refuse them."""

from __future__ import annotations

import itertools
import threading

from workers.contract.job import Priority

#: A place in the line: the most urgent first, then the one that came first.
Ticket = tuple[int, int]


class WaitingLine:
    """Requests of one front end: only the first asks Redis again whether there is room."""

    def __init__(self) -> None:
        self._tickets: set[Ticket] = set()
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def join(self, priority: Priority) -> Ticket:
        """A new place, after those that are as urgent."""
        with self._changed:
            ticket = (-priority.value, next(self._numbers))
            self._tickets.add(ticket)
            return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a place up, accepted or not."""
        with self._changed:
            self._tickets.discard(ticket)
            self._changed.notify_all()

    def is_first(self, ticket: Ticket, timeout_s: float) -> bool:
        """Whether this place is the first one, within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: min(self._tickets) == ticket, timeout_s)
