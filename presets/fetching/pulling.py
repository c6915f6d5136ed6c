"""Pulling: a hub's files brought into a model's directory, whole and right or not at all.

Bytes gather in `.<name>.<checksum>.part` beside the file's place, which keeps what was fetched over
a break, a Ctrl-C or a crash, and never goes on with another version's bytes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from io import FileIO
from pathlib import Path

from presets.fetching.hub import Hub
from presets.fetching.repository import HubFile, PullError
from presets.weights import file_hash

#: Called with the number of a file's bytes that are there, or checked.
OnBytes = Callable[[int], None]

_CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Pull:
    """One file that is to be in one directory."""

    file: HubFile
    directory: Path

    @property
    def target(self) -> Path:
        """Where it is to be."""
        return self.directory / self.file.local_name

    @property
    def part(self) -> Path:
        """Where its bytes gather."""
        return self.directory / f".{self.file.local_name}.{self.file.checksum[:16]}.part"

    @property
    def kept_bytes(self) -> int:
        """What an earlier try has left."""
        return self.part.stat().st_size if self.part.is_file() else 0

    @property
    def left_bytes(self) -> int:
        """What is to be fetched."""
        if self.target.exists():
            return 0
        return max(0, self.file.size_bytes - self.kept_bytes)


def require_room(pulls: Iterable[Pull], models_dir: Path) -> None:
    """Refuse before the first byte what would fill the disk.

    Raises:
        PullError: less is free than is to be fetched.
    """
    needed = sum(pull.left_bytes for pull in pulls)
    free = shutil.disk_usage(models_dir).free
    if needed > free:
        raise PullError(
            f"{needed / 1e9:.2f} GB are to be fetched and {free / 1e9:.2f} GB are free in "
            f"{models_dir}"
        )


def is_right(pull: Pull, on_bytes: OnBytes) -> bool:
    """Whether the file is there with the bytes that the hub has.

    Raises:
        PullError: another file has its place.
    """
    if not pull.target.exists():
        return False
    same_size = pull.target.stat().st_size == pull.file.size_bytes
    if same_size and _checksum(pull.target, pull.file, on_bytes) == pull.file.checksum:
        return True
    raise PullError(
        f"{pull.target} is not what {pull.file.repo} has under that name now; it is left as it is: "
        "move it away to fetch the hub's"
    )


def fetch(hub: Hub, pull: Pull, on_bytes: OnBytes, on_check: OnBytes) -> Path:
    """Fetch a file, from where an earlier try was stopped; returns where it is.

    Raises:
        PullError: the hub refuses or cannot be reached, the disk is full, another process fetches
            the same file, or what came has another checksum and was deleted.
    """
    file, part = pull.file, pull.part
    try:
        pull.directory.mkdir(parents=True, exist_ok=True)
        for other in pull.directory.glob(f".{escape(file.local_name)}.*.part"):
            if other != part:  # of a version that the hub no longer has
                other.unlink(missing_ok=True)
        with _held(pull, on_bytes) as gathering:
            if pull.target.exists():  # another process has fetched it meanwhile
                part.unlink(missing_ok=True)
                return pull.target
            if gathering.tell() > file.size_bytes:
                gathering.truncate(0)
            _read(hub, file, gathering)
            os.fsync(gathering.fileno())
            if _checksum(part, file, on_check) != file.checksum:
                part.unlink()
                raise PullError(
                    f"{file.local_name} came with another checksum than {file.repo} gives and is "
                    "deleted; try again, and if it stays wrong something between alters it"
                )
            part.rename(pull.target)
            if file.sha256 is not None:
                file_hash.keep(pull.target, file.sha256)
    except OSError as error:
        raise PullError(f"{pull.target} cannot be written: {error.strerror or error}") from None
    return pull.target


def _read(hub: Hub, file: HubFile, gathering: FileIO) -> None:
    try:
        hub.read(file, gathering, gathering.tell())
    except OSError as error:
        if error.errno is not None:  # the disk's; the client's own reports a wrong length
            raise
    size = gathering.seek(0, os.SEEK_END)
    if size < file.size_bytes:
        raise PullError(f"the hub sent {size} of the {file.size_bytes} bytes of {file.local_name}")


@contextmanager
def _held(pull: Pull, on_bytes: OnBytes) -> Iterator[FileIO]:
    """What is there of a file, open at its end and locked: two that write make no file."""
    with _Gathering(pull.part, on_bytes) as gathering:
        try:
            fcntl.flock(gathering, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullError(f"another process is fetching {pull.target}") from None
        try:
            yield gathering
        finally:
            if pull.kept_bytes == 0:  # nothing came: nothing stays
                pull.part.unlink(missing_ok=True)
                with suppress(OSError):
                    pull.directory.rmdir()


class _Gathering(FileIO):
    """A file that grows at its end and reports its size."""

    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        super().__init__(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        self._on_bytes = on_bytes
        self._on_bytes(self.seek(0, os.SEEK_END))

    def write(self, data: object) -> int:
        """All of `data`: the system may take less of it at a time."""
        view = memoryview(data)  # type: ignore[arg-type]
        written = 0
        while written < len(view):
            written += super().write(view[written:])
        self._on_bytes(self.tell())
        return written

    def truncate(self, size: int | None = None) -> int:
        """Cut it, and stand at its new end."""
        cut = super().truncate(size)
        self._on_bytes(self.seek(cut))
        return cut


def _checksum(path: Path, file: HubFile, on_bytes: OnBytes) -> str:
    digest = file.digest()
    done = 0
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            on_bytes(done)
    return digest.hexdigest()
