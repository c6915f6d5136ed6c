"""The end of a log, and what is written to it afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: Bytes of a file's end in which its last lines are looked for.
_MOST_BYTES = 16 * 2**20
#: Seconds between two looks at a file that has nothing new.
_PAUSE_S = 0.25


class LogFile:
    """One log, from which lines are read once each; it may be replaced by a new one meanwhile."""

    def __init__(
        self, path: Path, prefix: str, passes: Callable[[bytes], bool] | None = None
    ) -> None:
        """`prefix` stands before each line; `passes` says of each whether it is given."""
        self._path = path
        self._prefix = prefix
        self._passes = passes
        self._read_bytes = 0
        self._inode: int | None = None
        #: The beginning of a line whose end is not written yet.
        self._begun = b""

    def last_lines(self, count: int) -> Iterator[str]:
        """The last lines that are there; reading goes on after them."""
        lines = self._lines(_MOST_BYTES)
        return iter(lines[-count:] if count else [])

    def new_lines(self) -> Iterator[str]:
        """What was written since."""
        return iter(self._lines(_MOST_BYTES))

    def skip(self) -> None:
        """Leave out what is there; reading goes on after it."""
        self._lines(0)

    @staticmethod
    def wait() -> None:
        """Let some time pass before the next look."""
        time.sleep(_PAUSE_S)

    def _lines(self, most_bytes: int) -> list[str]:
        try:
            with self._path.open("rb") as log:
                status = os.fstat(log.fileno())
                if status.st_ino != self._inode or status.st_size < self._read_bytes:
                    self._inode, self._read_bytes, self._begun = status.st_ino, 0, b""
                start = max(self._read_bytes, status.st_size - most_bytes)
                log.seek(start)
                data = self._begun + log.read(most_bytes)
                self._read_bytes = log.tell()
        except FileNotFoundError:  # it is being replaced
            return []
        *whole, self._begun = data.split(b"\n")
        given = whole if self._passes is None else filter(self._passes, whole)
        return [self._prefix + line.decode(errors="replace") for line in given]
