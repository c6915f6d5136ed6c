"""The front: a cache's values in this process, those that were used last."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

#: Bytes that an entry takes beside its key and its value: of a 64-bit CPython.
_ENTRY_BYTES = 300


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    size_bytes: int
    #: By `time.monotonic`.
    until: float


class Front:
    """Values by their keys, up to so many bytes. Safe from several threads."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` 0: it keeps nothing."""
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """What is kept under a key; None: nothing, or its time is over."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if kept.until <= time.monotonic():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return kept.value

    def store(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep a value; those that were used longest ago make room for it."""
        size = len(value) + len(key) + _ENTRY_BYTES
        with self._lock:
            self._drop(key)
            if size > self._most_bytes:
                return
            while self._bytes + size > self._most_bytes:
                self._drop(next(iter(self._kept)))
            self._kept[key] = _Kept(value, size, time.monotonic() + ttl_s)
            self._bytes += size

    def clear(self) -> None:
        """Keep nothing of it any longer."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size_bytes
