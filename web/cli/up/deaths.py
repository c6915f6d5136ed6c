"""Deaths: workers of this machine whose processes have ended, reported as soon as it is seen.

Without this a worker counts as alive until its presence has expired. Only a process that was seen
to live here, and has ended, is reported: who it was is known by its pid and its start, so that a
worker in another container that has the same host name and pid is never meant.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping

import psutil
from redis import Redis
from redis.exceptions import RedisError

from web.cli.up.supervisor import Child
from workers.cluster.directory import Directory
from workers.cluster.presence import Worker, declare_dead
from workers.runtime.consumer import started_at

log = logging.getLogger(__name__)

#: Seconds between two looks at who is there.
LOOK_S = 0.25


class LocalDeaths:
    """Watches over the processes of all workers on this machine, children of `up` or not."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._directory = Directory(redis, ttl_s=0.0)
        self._host = socket.gethostname()
        self._known: dict[int, tuple[Worker, psutil.Process]] = {}
        self._next_look = 0.0

    def look(self, children: Mapping[int, Child]) -> None:
        """Report who has ended since the last look; notes which children have given text."""
        for pid, (worker, process) in list(self._known.items()):
            if _has_ended(process):
                del self._known[pid]
                self._report(worker)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._learn(children)

    def _learn(self, children: Mapping[int, Child]) -> None:
        try:
            workers = self._directory.workers()
        except RedisError:
            return
        for worker in workers:
            if worker.host != self._host:
                continue
            if child := children.get(worker.pid):
                child.answered = child.answered or worker.answered
            known = self._known.get(worker.pid)
            if known is not None and known[0].id == worker.id:
                continue
            try:
                process = psutil.Process(worker.pid)
                if child is not None or worker.id.endswith(f"-{started_at(process):x}"):
                    self._known[worker.pid] = worker, process
            except psutil.Error:
                continue

    def _report(self, worker: Worker) -> None:
        """Safe in any case: who had left has nothing, and who is gone would be missed anyway."""
        try:
            declare_dead(self._redis, worker.id)
        except RedisError as error:
            log.info("%s expires by itself, Redis is away: %s", worker.id, error)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
