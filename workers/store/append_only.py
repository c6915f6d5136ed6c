"""The embedded server's append-only file: what is wrong with it, and mending it.

It is a directory of files that a manifest lists: a base, and what was written after it. What is cut
off by a power cut the server drops by itself; what is wrong in the middle keeps it from starting.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

#: As the server names it, below its own directory.
DIRECTORY = "appendonlydir"
_MANIFEST = "appendonly.aof.manifest"
#: The longest that looking through a file may take; it reads some hundred megabytes a second.
_CHECK_WITHIN_S = 600.0
_ANALYSED = re.compile(r"AOF analyzed: .*?size=(\d+), ok_up_to=(\d+)")

_DAMAGED = re.compile(
    r"(?:Bad file format reading|Unexpected end of file reading) the append only file ([^\s:]+)"
)
_NOT_MENDABLE = re.compile(
    r"Internal error in RDB|Wrong signature trying to load|Short read or OOM loading DB|"
    r"AOF manifest|AOF base file|appendonly file missing|non-existent|AOF file .* missing",
    re.IGNORECASE,
)
#: The server marks a line of what goes wrong with `#`; other marks are of what it does as ever, as
#: in "* Creating AOF base file".
_GOES_WRONG = re.compile(r"^\d+:\w .*? # .*$", re.MULTILINE)
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_FORBIDDEN = re.compile(r"Permission denied|Read-only file system")


class NotMendable(Exception):
    """The file cannot be mended by cutting its end off; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was cut off."""

    file: Path
    size_bytes: int
    kept_bytes: int
    #: The file as it was.
    backup: Path


def damage(redis_dir: Path, said: str) -> str | None:
    """Which file the server cannot read, from what it said, and what to do; None where it can."""
    if damaged := _DAMAGED.search(said):
        file = redis_dir / DIRECTORY / damaged[1]
        return f"{file} is damaged. Mend it with: inference-service redis --repair"
    went_wrong = "\n".join(_GOES_WRONG.findall(said))
    return _lost(redis_dir) if _NOT_MENDABLE.search(went_wrong) else None


def problem(redis_dir: Path, said: str) -> str | None:
    """Why the server did not start, from what it said, and what to do; None: unknown."""
    if _FULL.search(said):
        return f"the disk of {redis_dir} is full. Free some space on it."
    if _FORBIDDEN.search(said):
        return f"{redis_dir} or a file in it cannot be read and written. Give it to this user."
    return damage(redis_dir, said)


def repair(binary: Path, redis_dir: Path) -> Repair | None:
    """Cut off what cannot be read; None where all can be. The file as it was is kept beside it.

    The server must not run.

    Raises:
        NotMendable: what is damaged is not the end of what was written.
        OSError: the files cannot be read or written.
    """
    directory = redis_dir / DIRECTORY
    files = _written_after_base(directory)
    for file in files:
        size_bytes, kept_bytes = _check(binary, file)
        if kept_bytes == size_bytes:
            continue
        if file != files[-1]:
            raise NotMendable(_lost(redis_dir))
        backup = file.with_name(f"{file.name}.damaged-{int(time.time())}")
        shutil.copy2(file, backup)
        with open(file, "r+b") as writer:
            writer.truncate(kept_bytes)
        return Repair(file, size_bytes, kept_bytes, backup)
    return None


def _written_after_base(directory: Path) -> list[Path]:
    """The files that hold commands, in the order in which they were written."""
    try:
        manifest = (directory / _MANIFEST).read_text()
    except FileNotFoundError:
        return []
    rows = [line.split() for line in manifest.splitlines() if line.startswith("file ")]
    return [directory / row[1] for row in rows if row[-1] == "i" and (directory / row[1]).exists()]


def _check(binary: Path, file: Path) -> tuple[int, int]:
    """Size of a file, and how much of it can be read, in bytes."""
    size_bytes = file.stat().st_size
    if not size_bytes:
        return 0, 0
    # Under this name the server's program checks files instead of serving.
    checked = subprocess.run(
        ["valkey-check-aof", str(file)],  # nosec B607 # a name; `executable` is the path
        executable=str(binary),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_CHECK_WITHIN_S,
    )
    if checked.returncode == 0:
        return size_bytes, size_bytes
    analysed = _ANALYSED.search(checked.stdout)
    if analysed is None:
        raise NotMendable(f"{file} cannot be checked: {checked.stdout.strip()[-200:]}")
    return size_bytes, int(analysed[2])


def _lost(redis_dir: Path) -> str:
    return (
        f"{redis_dir / DIRECTORY} is damaged and cannot be mended. Move it away to start without "
        "the jobs and results in it, or put a copy of yours there."
    )
