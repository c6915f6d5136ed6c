"""One budget of time for everything that a worker does for one request outside decoding.

Rendering the template, tokenising, compiling a schema: each step of that work asks `check`, and
what comes after looks at the same clock. What was cancelled stops there too.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from threading import Event

from workers.contract.errors import TimeBudgetExceeded

#: Seconds. A prompt of 100,000 tokens is rendered and tokenised in one on a slow core.
BUDGET_S = 10.0


class Cancelled(Exception):
    """Nobody waits for the request any longer."""


class TimeBudget:
    """The seconds of one request, from when it is made."""

    def __init__(self, cancelled: Event | None = None, budget_s: float = BUDGET_S) -> None:
        self._cancelled = cancelled
        self._budget_s = budget_s
        self._ends_at = time.monotonic() + budget_s
        #: What is being done, for the error's message.
        self.phase = "preparing the request"

    @property
    def overdue_s(self) -> float:
        """Seconds since it was used up; below 0 before that."""
        return time.monotonic() - self._ends_at

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Cancelled: nobody waits any longer.
            TimeBudgetExceeded: the time is used up; names what was being done.
        """
        if self._cancelled is not None and self._cancelled.is_set():
            raise Cancelled
        if self.overdue_s > 0:
            raise TimeBudgetExceeded(
                f"{self.phase.capitalize()} took longer than the {self._budget_s:g} s that one "
                "request has for it.",
                details={"phase": self.phase, "budget_s": self._budget_s},
            )


class Preparations:
    """The budgets of one engine's requests that are being prepared now. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[TimeBudget] = set()

    @contextlib.contextmanager
    def begin(self, cancelled: Event) -> Iterator[TimeBudget]:
        """The budget of a request; `overdue_s` sees it until it is prepared."""
        budget = TimeBudget(cancelled, BUDGET_S)
        with self._lock:
            self._running.add(budget)
        try:
            yield budget
        finally:
            with self._lock:
                self._running.discard(budget)

    @property
    def overdue_s(self) -> float:
        """For how long the longest has gone on after its budget was used up; 0: none has.

        A call that checks no budget can hold a request's thread; the watchdog sees it by this.
        """
        with self._lock:
            return max((budget.overdue_s for budget in self._running), default=0.0)
