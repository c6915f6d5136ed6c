"""The processes that vLLM starts for a worker: known as its own, and always ended.

vLLM's EngineCore has no pipe to its parent by which it would notice the parent's death. A worker
leads a process group, which is ended as a whole. It also
puts itself as the owner into the environment of what it starts: by that the next worker finds the
processes of one that was killed alone.
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
OWNER_VARIABLE = "INFERENCE_VLLM_WORKER"
_numbers = itertools.count(1)
_TRACKER = "multiprocessing.resource_tracker"
#: A killed process that holds a GPU takes a moment to end.
_ENDS_WITHIN_S = 30.0


class EngineProcesses:
    """The processes that one engine starts, and theirs."""

    def __init__(self) -> None:
        """Own what this process starts from now on."""
        worker = psutil.Process()
        self._worker = worker.pid
        self._owner = f"{_life(worker)}:{next(_numbers)}"
        os.environ[OWNER_VARIABLE] = self._owner

    def members(self) -> list[psutil.Process]:
        """Those that live."""
        return [
            process
            for process, owner in _owned()
            if owner == self._owner and process.pid != self._worker
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
    left = [process for process, owner in _owned() if not _lives(owner)]
    for process in left:
        log.warning("killing process %d of a dead worker", process.pid)
    _end(left)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(processes, _ENDS_WITHIN_S)
    for process in alive:
        log.error("process %d does not exit", process.pid)


def _owned() -> Iterator[tuple[psutil.Process, str]]:
    """Every process that an engine of ours has started, with its owner.

    Without the standard library's resource tracker: it serves the whole worker, ends with it, and
    then removes the shared memory of those that were killed.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            owner = process.environ().get(OWNER_VARIABLE)
            if owner and _TRACKER not in " ".join(process.cmdline()):
                yield process, owner


def _lives(owner: str) -> bool:
    """Whether the worker that is this owner lives."""
    try:
        worker = psutil.Process(int(owner.partition(":")[0]))
        same = owner.startswith(f"{_life(worker)}:")
        return same and worker.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False


def _life(worker: psutil.Process) -> str:
    """A process that no other has been or will be: pids are given again."""
    return f"{worker.pid}:{worker.create_time():.2f}"
