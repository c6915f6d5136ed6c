"""A request's body once it has arrived, and the bytes that all bodies may take together."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from workers.contract.errors import InferenceError


class BytesInFlight:
    """Bytes of bodies that have arrived and are not worked on yet, over all requests."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take room for some bytes; False where there is not enough."""
        with self._lock:
            if self._taken + count > self.limit:
                return False
            self._taken += count
            return True

    def give_back(self, count: int) -> None:
        """Give room back."""
        with self._lock:
            self._taken -= count


class Body(io.BytesIO):
    """What the application reads as `wsgi.input`: all there, nothing to wait for.

    Its room among the bytes in flight is given back by `release`, once it has been parsed, and at
    the end of its request in any case.
    """

    def __init__(self, in_flight: BytesInFlight, make_room: Callable[[], bool]) -> None:
        """An empty body; `make_room` lets another go to make room for this one, if it can."""
        super().__init__()
        #: Why the body was thrown away; the application answers with it.
        self.refusal: InferenceError | None = None
        #: What came after the request's end: of a WebSocket, its first frames.
        self.following = b""
        self._in_flight, self._make_room = in_flight, make_room
        self._held = 0

    @property
    def in_flight_limit(self) -> int:
        """Bytes that all bodies together may have."""
        return self._in_flight.limit

    @property
    def held(self) -> int:
        """Bytes that it holds."""
        return self._held

    def add(self, piece: bytes) -> bool:
        """Keep some more bytes; False where all bodies together would be too large."""
        while not self._in_flight.take(len(piece)):
            if not self._make_room():
                return False
        self._held += len(piece)
        self.write(piece)
        return True

    def refuse(self, why: InferenceError) -> None:
        """Throw away what has come: nobody will read it."""
        self.refusal = why
        self.release()

    def release(self) -> None:
        """Forget the bytes and give their room back; a second time changes nothing."""
        held, self._held = self._held, 0
        self._in_flight.give_back(held)
        self.seek(0)
        self.truncate()
