"""Isolation: a step that crashed its worker runs alone, so that no other is blamed for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Isolation:
    """Steps run together, or one runs alone. While one waits to run alone, no other is admitted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._waiting_alone = 0
        self._alone = False
        self._closed = False

    @property
    def reserved(self) -> bool:
        """Whether a step runs alone, or waits for that: no other step is admitted."""
        with self._changed:
            return self._alone or self._waiting_alone > 0

    def close(self) -> None:
        """Admit no step from now on: the worker ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def together(self) -> Iterator[bool]:
        """Run beside others; False where the worker ends instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not (self._alone or self._waiting_alone))
            entered = not self._closed
            self._running += entered
        try:
            yield entered
        finally:
            with self._changed:
                self._running -= entered
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Run when no other step does; False where the worker ends instead."""
        with self._changed:
            self._waiting_alone += 1
            self._changed.wait_for(lambda: self._closed or not (self._alone or self._running))
            self._waiting_alone -= 1
            entered = not self._closed
            self._alone = self._alone or entered
        try:
            yield entered
        finally:
            with self._changed:
                self._alone = self._alone and not entered
                self._changed.notify_all()
