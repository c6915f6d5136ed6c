"""A background thread: a loop that runs beside the rest of its process until it is stopped."""

from __future__ import annotations

import abc
import threading


class BackgroundThread(abc.ABC):
    """A daemon thread that runs `_run` once, from `start` on.

    `_run` is a loop that ends when `_ending` is set. It waits on that event, never on a sleep.
    """

    def __init__(self, name: str, *, ends_within_s: float = 0.0) -> None:
        """`ends_within_s`: how long `stop` waits for the thread's end at most; 0: not at all."""
        self._ending = threading.Event()
        self._ends_within_s = ends_within_s
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; may be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end. Safe before `start`, and more than once."""
        self._ending.set()
        self._join(self._ends_within_s)

    def _join(self, timeout_s: float | None) -> None:
        """Wait for the thread's end; `timeout_s` None: as long as it takes."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @abc.abstractmethod
    def _run(self) -> None:
        """What the thread does."""
