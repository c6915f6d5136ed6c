"""Disconnects: clients that close their connection before they have their whole answer.

A closed connection shows only when something is written to it, and a model that is reading a long
prompt writes nothing. One thread looks at the sockets of all waiting clients instead.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

from workers.background import BackgroundThread

log = logging.getLogger(__name__)

#: Seconds between two looks: a client that leaves frees its thread within this.
LOOK_S = 0.25


class Disconnects(BackgroundThread):
    """Calls back once for each watched connection that its client has closed."""

    def __init__(self) -> None:
        super().__init__("disconnects")
        self._watched: dict[int, tuple[socket.socket, Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._watching = threading.Event()

    @contextlib.contextmanager
    def watching(
        self, connection: socket.socket | None, on_leave: Callable[[], None]
    ) -> Iterator[None]:
        """Watch a connection; without one (a test client) nobody ever leaves."""
        if connection is None:
            yield
            return
        key = id(connection)
        with self._lock:
            self._watched[key] = (connection, on_leave)
        self._watching.set()
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def stop(self) -> None:
        """Let the thread end: no connection is watched any longer."""
        self._watching.set()
        super().stop()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._watching.wait()
            with self._lock:
                watched = list(self._watched.items())
                if not watched:
                    self._watching.clear()
            for key, (connection, on_leave) in watched:
                if _has_left(connection):
                    with self._lock:
                        known = self._watched.pop(key, None)
                    if known is not None:
                        self._call(on_leave)
            self._ending.wait(LOOK_S)

    def _call(self, on_leave: Callable[[], None]) -> None:
        try:
            on_leave()
        except Exception:
            log.exception("a disconnect could not be handled")


def _has_left(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return False
    except (OSError, ValueError):  # reset, or closed by us; a TLS socket refuses the flags
        return connection.fileno() == -1 or not hasattr(connection, "context")
