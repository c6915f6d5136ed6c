"""Isolation: a step that crashed its worker runs alone, so that no other is blamed for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Isolation:
    """Steps run together, or one runs alone; one that wants to be alone is not kept waiting."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._wanting = 0
        self._taken = False
        self._closed = False

    @property
    def reserved(self) -> bool:
        """Whether a step runs alone, or waits for that: others are kept outside."""
        with self._changed:
            return self._taken or self._wanting > 0

    def close(self) -> None:
        """Let in nobody from now on: the worker ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def together(self) -> Iterator[bool]:
        """Run beside others; False where the worker ends instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not (self._taken or self._wanting))
            entered = not self._closed
            self._inside += entered
        try:
            yield entered
        finally:
            with self._changed:
                self._inside -= entered
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Run when nobody else does; False where the worker ends instead."""
        with self._changed:
            self._wanting += 1
            self._changed.wait_for(lambda: self._closed or not (self._taken or self._inside))
            self._wanting -= 1
            entered = not self._closed
            self._taken = self._taken or entered
        try:
            yield entered
        finally:
            with self._changed:
                self._taken = self._taken and not entered
                self._changed.notify_all()
