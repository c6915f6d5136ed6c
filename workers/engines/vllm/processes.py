"""The processes that vLLM starts for a worker: known as its own, and never left behind.

vLLM's EngineCore has no pipe to its parent by which it would notice the parent's death. A worker
leads a process group, which is ended as a whole. Beside that it marks what it starts in the
environment: by that mark the next worker finds what one that was killed alone has left.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator

import psutil

log = logging.getLogger(__name__)

#: In the environment of every process that an engine starts: `<pid>:<start>` of its worker, and a
#: number of the engine's.
MARK = "INFERENCE_VLLM_WORKER"
_numbers = itertools.count(1)
_TRACKER = "multiprocessing.resource_tracker"
#: A killed process that holds a GPU takes a moment to end.
_ENDS_WITHIN_S = 30.0


class EngineProcesses:
    """The processes that one engine starts, and theirs."""

    def __init__(self) -> None:
        """Mark what this process starts from now on."""
        worker = psutil.Process()
        self._worker = worker.pid
        self._mark = f"{_life(worker)}:{next(_numbers)}"
        os.environ[MARK] = self._mark

    def members(self) -> list[psutil.Process]:
        """Those that live."""
        return [
            process
            for process, mark in _marked()
            if mark == self._mark and process.pid != self._worker
        ]

    def rss_bytes(self) -> int:
        """Memory of all of them."""
        total = 0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def end(self, known: Iterable[psutil.Process] = ()) -> None:
        """End all of them, and wait until they have ended.

        `known` are members seen before: one that is ending already has no environment to be known
        by any longer, and its memory is not free yet.
        """
        _end(list({*known, *self.members()}))


def end_leftovers() -> None:
    """End what dead workers of this machine have left, and wait until it has ended: it holds the
    memory that the next model is loaded into.
    """
    left = [process for process, mark in _marked() if not _lives(mark)]
    for process in left:
        log.warning("ending process %d, which a dead worker left behind", process.pid)
    _end(left)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(processes, _ENDS_WITHIN_S)
    for process in alive:
        log.error("process %d does not end", process.pid)


def _marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every process that an engine of ours has started, with its worker's mark.

    Without the standard library's resource tracker: it serves the whole worker, ends with it, and
    then removes the shared memory of those that were killed.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mark = process.environ().get(MARK)
            if mark and _TRACKER not in " ".join(process.cmdline()):
                yield process, mark


def _lives(mark: str) -> bool:
    """Whether the worker that made this mark does."""
    try:
        worker = psutil.Process(int(mark.partition(":")[0]))
        same = mark.startswith(f"{_life(worker)}:")
        return same and worker.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False


def _life(worker: psutil.Process) -> str:
    """A process that no other has been or will be: pids are given again."""
    return f"{worker.pid}:{worker.create_time():.2f}"
