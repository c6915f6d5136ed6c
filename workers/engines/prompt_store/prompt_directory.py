"""The directory of prompt files: one folder for each model, and one bound of bytes for all.

It is the only authority: whoever writes, reads or drops a file looks at what is there now. Several
processes may use it at once. A file comes whole or not at all, by its name's change; room is made
under a lock. The standard library will do: who removes files need not be able to read them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: Seconds after its last use at which a file goes. Less than those for which a worker may still
#: learn which jobs were deleted (`keys.DELETED_TTL_S`): what it finds here it may use.
UNUSED_S = 23 * 3600.0
#: Seconds without a write after which an unfinished file is one that its writer has left.
_ABANDONED_S = 60.0
#: What is left of the disk: the embedded server's append-only file is on it too.
LEAST_FREE_BYTES = 512 * 2**20

#: Of a file or an unfinished one: the job, then what it holds.
_NAME = re.compile(r"(?P<job>[0-9a-f]{16})-[0-9a-f]{32}\.prompt(?P<unfinished>\.[0-9a-f]{16})?")
_FOLDER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as it is now."""

    path: Path
    size_bytes: int
    used_at: float
    job: str
    is_unfinished: bool


class PromptDirectory:
    """The prompt files of all models under a bound of bytes: first go those unused for longest."""

    def __init__(
        self, root: Path, most_bytes: int = 0, *, least_free_bytes: int = LEAST_FREE_BYTES
    ) -> None:
        self._root = root
        self._least_free_bytes = least_free_bytes
        self.most_bytes = most_bytes

    def open(self, identity: str) -> None:
        """Make the folder of a model.

        Raises:
            OSError: nothing can be written there.
        """
        folder = self.folder(identity)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            pass
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def folder(self, identity: str) -> Path:
        """Where the files of a model are."""
        return self._root / identity

    def files(self, identity: str | None = None) -> Iterator[FoundFile]:
        """The files of a model, or of all; unfinished ones too.

        Raises:
            OSError: the directory cannot be read.
        """
        folders = [self.folder(identity)] if identity is not None else self._folders()
        for folder in folders:
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    match = _NAME.fullmatch(entry.name)
                    if match is None or not entry.is_file(follow_symlinks=False):
                        continue
                    with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                        status = entry.stat(follow_symlinks=False)
                        yield FoundFile(
                            Path(entry.path),
                            status.st_size,
                            status.st_mtime,
                            match["job"],
                            match["unfinished"] is not None,
                        )

    @contextlib.contextmanager
    def new_file(self, identity: str, name: str, size_bytes: int) -> Iterator[BinaryIO | None]:
        """A file of this size to be written, which is there once the block has ended.

        Others go for it. None: the disk has no room that may be taken. An exception in the block
        leaves nothing.

        Raises:
            OSError: the disk fails.
        """
        self.open(identity)  # somebody may have cleared all
        target = self.folder(identity) / name
        unfinished = target.with_name(f"{name}.{os.urandom(8).hex()}")
        descriptor = self._reserve(unfinished, size_bytes)
        if descriptor is None:
            yield None
            return
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            unfinished.rename(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def forget(self, jobs: Collection[str]) -> None:
        """Remove what these jobs have left, in all folders.

        Raises:
            OSError: the directory cannot be read or written.
        """
        names = {_job_name(job) for job in jobs}
        for found in self.files():
            if found.job in names:
                found.path.unlink(missing_ok=True)

    def drop_unused(self) -> None:
        """Remove what was not used for long, what nobody finishes, and folders without files.

        Raises:
            OSError: the directory cannot be read or written.
        """
        now = time.time()
        for found in self.files():
            if now - found.used_at > (_ABANDONED_S if found.is_unfinished else UNUSED_S):
                found.path.unlink(missing_ok=True)
        for folder in self._folders():
            with contextlib.suppress(OSError):  # it has files
                if now - folder.stat().st_mtime > UNUSED_S:
                    folder.rmdir()

    def _folders(self) -> list[Path]:
        with contextlib.suppress(FileNotFoundError):
            return [path for path in self._root.iterdir() if _FOLDER.fullmatch(path.name)]
        return []

    def _reserve(self, unfinished: Path, size_bytes: int) -> int | None:
        """A file of this size, which holds nothing yet; None where there is no room for it."""
        if size_bytes > self.most_bytes:
            return None
        with self._locked():
            files = sorted(self.files(), key=lambda found: found.used_at)
            taken = sum(found.size_bytes for found in files)
            for found in files:
                if taken + size_bytes <= self.most_bytes:
                    break
                if not found.is_unfinished:
                    found.path.unlink(missing_ok=True)
                    taken -= found.size_bytes
            disk = os.statvfs(self._root)
            free = disk.f_bavail * disk.f_frsize
            if taken + size_bytes > self.most_bytes or free - size_bytes < self._least_free_bytes:
                return None
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(unfinished, flags, 0o600)
            os.truncate(descriptor, size_bytes)  # so that others count it
            return descriptor

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._root / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def file_name(job: str, held: bytes) -> str:
    """The name of the file of what a job has left; `held` says what that is."""
    return f"{_job_name(job)}-{hashlib.sha256(held).hexdigest()[:32]}.prompt"


def _job_name(job: str) -> str:
    return hashlib.sha256(job.encode()).hexdigest()[:16]
