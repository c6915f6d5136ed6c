"""Whether there is room for logs, which is said once: when it is used up, and when it is back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

#: Bytes below which the disk counts as full, and above which it has room again.
FULL_BYTES, ROOM_BYTES = 2**20, 8 * 2**20
#: Seconds between two looks.
_LOOK_S = 1.0


class LogDisk:
    """Looks at the disk that the logs are on; the processes themselves go on without lines."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._is_full = False
        self._next_look = 0.0

    def look(self) -> None:
        """Say what has changed."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        try:
            free = _free_bytes(self._directory)
        except OSError:  # there is no such directory, so nothing is written to it
            return
        if not self._is_full and free < FULL_BYTES:
            self._is_full = True
            self._say(
                f"warning: the disk of {self._directory} is full; the service goes on, and lines "
                "of its logs are lost until there is room"
            )
        elif self._is_full and free > ROOM_BYTES:
            self._is_full = False
            self._say(f"the disk of {self._directory} has room again")


def _free_bytes(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
