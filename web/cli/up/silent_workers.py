"""Silent workers: their process runs, but they report no presence."""

from __future__ import annotations

import time
from collections.abc import Iterable

from redis.exceptions import RedisError

from workers.cluster.directory import Directory

#: Seconds without a word after which a worker is ended and started again.
LONGEST_S = 20.0


class SilentWorkers:
    """Tells which of some processes have fallen silent.

    Each worker tells of itself twice a second. One that cannot, because a native call never gives
    the interpreter back or somebody stopped the process, cannot end itself either.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._heard: dict[int, float] = {}

    def silent(self, pids: Iterable[int]) -> list[int]:
        """Those of these processes that told of themselves once and then fell silent."""
        now = time.monotonic()
        pids = list(pids)
        try:
            present = {worker.pid for worker in self._directory.workers()}
        except RedisError:  # nobody can be heard
            self._heard = dict.fromkeys(self._heard, now)
            return []
        self._heard = {pid: at for pid, at in self._heard.items() if pid in pids}
        self._heard |= {pid: now for pid in pids if pid in present}
        return [pid for pid, at in self._heard.items() if now - at > LONGEST_S]
