"""Draining: a front end that is asked to end lets answers end, and closes what is left in time.

A stream that is closed so is no stream whose client left: its job goes on, and is read on at any
other front end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

#: Seconds before the end of the grace at which what is still open is closed: its clients get their
#: last frames, and the process ends by itself.
CLOSES_BEFORE_S = 2.0


class Draining:
    """Closes what is still read through this front end when its grace is nearly over."""

    def __init__(self, grace_s: float) -> None:
        """`grace_s`: what answers get from `begin` on."""
        self._waits_s = max(0.0, grace_s - CLOSES_BEFORE_S)
        self._closes_at = float("inf")
        self._open: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """Have `close` called where this front end ends before the block does."""
        key = object()
        with self._lock:
            self._open[key] = close
            closed = self._closed
        try:
            if closed:
                close()
            yield
        finally:
            with self._lock:
                self._open.pop(key, None)

    def begin(self) -> None:
        """This front end was asked to end; a handler of a signal may call it."""
        self._closes_at = min(self._closes_at, time.monotonic() + self._waits_s)

    def look(self) -> None:
        """Close everything that is open, and all that still comes, once the time has come."""
        if time.monotonic() < self._closes_at:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            closing = list(self._open.values())
        if closing:
            log.info("the grace ends: %d answers are closed; streams are read on", len(closing))
        for close in closing:
            close()
