"""The prompt cache on disk: what the decoding thread asks of it, done by two threads of its own.

One writes, and follows what other workers of the model write, at low priority; the other reads what
an answer waits for. The decoding thread hands over and looks what has happened; it waits for no
disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from workers.background import BackgroundThread
from workers.engines.llamacpp.context import State
from workers.engines.llamacpp.prompt_cache import SavedPrompt
from workers.engines.prompt_store import prompt_file
from workers.engines.prompt_store.prompt_directory import FoundFile, PromptDirectory
from workers.engines.prompt_store.prompt_file import DamagedFile, Interrupted, PromptHead

log = logging.getLogger(__name__)

#: Writing yields to decoding. Not to the utmost: on cores that decode all the time it would last
#: for minutes, and a crash meanwhile would find nothing.
_NICENESS = 5
#: Seconds between two looks at what other workers of the model have written.
_LOOK_S = 1.0
#: Changes that wait for the decoding thread, beyond which no others are looked for.
_MOST_CHANGES = 1000
#: Seconds in which a worker that ends may write what its memory keeps: within what it has beyond
#: its grace (`ending.AFTER_GRACE_S`).
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt is on disk now."""

    prompt: SavedPrompt
    file: Path


@dataclass(frozen=True, slots=True)
class Found:
    """A file is there that this worker has not written, or not since it was loaded."""

    head: PromptHead
    file: Path


@dataclass(frozen=True, slots=True)
class Gone:
    """A file is there no more."""

    file: Path


Change = Written | Found | Gone


class PromptDisk(BackgroundThread):
    """The prompts of one model on disk. All methods are for the decoding thread."""

    def __init__(self, directory: PromptDirectory, identify: Callable[[], str]) -> None:
        """`identify` gives what a state depends on; it may take long, and raise OSError."""
        super().__init__("prompt-disk", ends_within_s=_CLOSE_S + 1)
        self._directory = directory
        self._identify = identify
        self._identity = ""
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self._reader = ThreadPoolExecutor(1, "prompt-read")
        #: Jobs that were deleted.
        self._forgotten: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._is_open = threading.Event()
        self._is_off = False
        self._writes = True
        self._ends_at = float("inf")
        #: Files of this model that are known -> their bytes.
        self._files: dict[Path, int] = {}
        self._folder_mtime_ns = -1
        self._said: set[str] = set()
        #: Prompts that were written, and read.
        self.written = self.restored = 0

    @property
    def bytes(self) -> tuple[int, int]:
        """Bytes that this model's files take, and that those of all models may take."""
        return sum(list(self._files.values())), self._directory.most_bytes

    @property
    def is_writable(self) -> bool:
        """It has not failed."""
        return self._writes

    def await_open(self, within_s: float) -> None:
        """Wait until it is known what is there: what comes later is found later."""
        self._is_open.wait(within_s)

    def write(self, prompt: SavedPrompt, public_length: int, replaced: list[Path]) -> None:
        """Keep a prompt whose state is in memory, in place of others."""
        if self._writes:
            self._do(lambda: self._write(prompt, public_length, replaced))

    def read(self, prompt: SavedPrompt, file: Path) -> Future[State | None]:
        """Read a state; None: it is not there any more, or damaged."""
        return self._reader.submit(self._read, prompt, file)

    def remove(self, file: Path) -> None:
        """Keep a file no longer."""
        self._do(lambda: self._unlink(file))

    def forget(self, job: str) -> None:
        """Remove all that a job has left, whoever has written it."""
        if not self._is_off:
            self._forgotten.put(job)
            self._do(self._forget)

    def changes(self) -> Iterator[Change]:
        """What has happened since the last look."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._changes.get_nowait()

    def close(self) -> None:
        """End both threads, after what was handed over, or the time that there is for it."""
        self._ends_at = time.monotonic() + _CLOSE_S
        self._tasks.put(None)
        if self._is_open.is_set():
            self._join(self._ends_within_s)
        self._reader.shutdown(wait=True, cancel_futures=True)

    def _do(self, task: Callable[[], None]) -> None:
        if not self._is_off:
            self._tasks.put(task)

    def _run(self) -> None:
        _lower_priority()
        try:
            self._identity = self._identify()
            self._directory.open(self._identity)
            self._directory.drop_unused()
            self._look()
        except OSError as error:
            self._say(f"the prompt cache on disk is off: {error}")
            self._is_off, self._writes = True, False
            return
        finally:
            self._is_open.set()
        while True:
            try:
                task = self._tasks.get(timeout=_LOOK_S)
            except queue.Empty:
                task = self._look
            if task is None:
                return
            try:
                task()
            except OSError as error:
                self._say(f"the prompt cache on disk cannot be written: {error}")
                self._writes = False
            except Exception:
                log.exception("unexpected error in the prompt cache on disk")

    def _write(self, prompt: SavedPrompt, public_length: int, replaced: list[Path]) -> None:
        state = prompt.state
        if state is None or not self._writes or self._gives_up(prompt):
            return
        head = PromptHead(
            self._identity,
            prompt.tokens,
            prompt.owner,
            public_length,
            prompt.job,
            int(prompt.priority),
            state.nbytes,
        )
        file = self._directory.folder(self._identity) / head.file_name
        try:
            with self._directory.new_file(
                self._identity, head.file_name, head.file_bytes
            ) as unfinished:
                if unfinished is None:
                    self._say("the disk has no room for more prompts: they are kept in memory")
                    return
                prompt_file.write(unfinished, head, state, lambda: self._gives_up(prompt))
        except (Interrupted, FileNotFoundError):  # its job was deleted meanwhile
            return
        self._files[file] = head.file_bytes
        self.written += 1
        self._changes.put(Written(prompt, file))
        for other in replaced:
            if other != file:
                self._unlink(other)
        self._look()  # others went for it

    def _gives_up(self, prompt: SavedPrompt) -> bool:
        return prompt.is_dropped or time.monotonic() > self._ends_at

    def _read(self, prompt: SavedPrompt, file: Path) -> State | None:
        try:
            head = prompt_file.read_head(file)
            if head.tokens != prompt.tokens or head.owner != prompt.owner:
                raise DamagedFile("it is another prompt's")
            state = prompt_file.read_state(file, head, lambda: self._ends_at < float("inf"))
            os.utime(file)
        except (Interrupted, FileNotFoundError):
            return None
        except DamagedFile as damaged:
            self._drop_damaged(file, damaged)
            return None
        except OSError as error:
            self._say(f"a file of the prompt cache cannot be read: {error}")
            return None
        except Exception:
            log.exception("unexpected error in the prompt cache on disk")
            return None
        self.restored += 1
        return state

    def _look(self) -> None:
        """Find what was written and removed by others."""
        if self._changes.qsize() > _MOST_CHANGES:
            return  # nothing is asked of this worker: it finds the rest when something is
        try:
            folder_mtime_ns = self._directory.folder(self._identity).stat().st_mtime_ns
        except FileNotFoundError:  # somebody has cleared it
            folder_mtime_ns = 0
        if folder_mtime_ns == self._folder_mtime_ns:
            return
        self._folder_mtime_ns = folder_mtime_ns
        found = {
            entry.path: entry
            for entry in self._directory.files(self._identity)
            if not entry.is_unfinished
        }
        for file in [file for file in self._files if file not in found]:
            self._lose(file)
        for entry in found.values():
            if entry.path not in self._files:
                self._find(entry)

    def _find(self, entry: FoundFile) -> None:
        try:
            head = prompt_file.read_head(entry.path)
            if head.identity != self._identity:
                raise DamagedFile("it is another model's")
        except FileNotFoundError:
            return
        except DamagedFile as damaged:
            self._drop_damaged(entry.path, damaged)
            return
        self._files[entry.path] = entry.size_bytes
        self._changes.put(Found(head, entry.path))

    def _drop_damaged(self, file: Path, damaged: DamagedFile) -> None:
        self._say(
            f"damaged files of the prompt cache are dropped: {file.name}: {damaged}", "damaged"
        )
        with contextlib.suppress(OSError):
            file.unlink()

    def _unlink(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        self._lose(file)

    def _lose(self, file: Path) -> None:
        if self._files.pop(file, None) is not None:
            self._changes.put(Gone(file))

    def _forget(self) -> None:
        jobs = set()
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.add(self._forgotten.get_nowait())
        if jobs:
            self._directory.forget(jobs)
            self._look()

    def _say(self, message: str, about: str | None = None) -> None:
        """Warn once, however often it happens."""
        if (about or message) not in self._said:
            self._said.add(about or message)
            log.warning("%s", message)


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere it would be the niceness of the whole process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
