"""Silent workers: their process runs, but they report no presence."""

from __future__ import annotations

import time
from collections.abc import Iterable

from redis.exceptions import RedisError

from workers.cluster.directory import Directory

#: Seconds without a word after which a worker is ended and started again.
LONGEST_S = 20.0


class SilentWorkers:
    """Says which of some processes have stopped their heartbeat.

    A worker's heartbeat comes twice a second. A worker that cannot write it cannot end itself
    either: a native call never gives the interpreter back, or the process was stopped.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._last_seen: dict[int, float] = {}

    def silent(self, pids: Iterable[int]) -> list[int]:
        """Those of these processes whose heartbeat came once and then stopped."""
        now = time.monotonic()
        pids = list(pids)
        try:
            present = {worker.pid for worker in self._directory.workers()}
        except RedisError:  # no heartbeat can be read
            self._last_seen = dict.fromkeys(self._last_seen, now)
            return []
        self._last_seen = {pid: at for pid, at in self._last_seen.items() if pid in pids}
        self._last_seen |= {pid: now for pid in pids if pid in present}
        return [pid for pid, at in self._last_seen.items() if now - at > LONGEST_S]
