"""The SHA-256 of a file of weights: made once, and kept beside it.

Reading tens of gigabytes takes minutes, so nobody does it at every start. What is kept holds for
the file as it was then: another length, another time at which it was written or changed, and it is
made anew. The time of a change cannot be set back, as that of writing can.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: A smaller file is read each time: nothing is kept beside it.
KEPT_FROM_BYTES = 1_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileState:
    """What another file of the same name has other."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, file: Path) -> FileState:
        """That of a file now.

        Raises:
            OSError: it is not there.
        """
        found = file.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def of(file: Path, elsewhere: Path) -> str:
    """The SHA-256 of a file in hexadecimal: as it is kept, else made and kept now.

    It is kept in `elsewhere` where nothing can be written beside the file.

    Raises:
        OSError: it cannot be read, or became another meanwhile.
    """
    state = FileState.of(file)
    if (kept := _kept(file, elsewhere, state)) is not None:
        return kept
    with file.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    if FileState.of(file) != state:
        raise OSError(f"{file} became another file while it was read")
    keep(file, sha256, elsewhere)
    return sha256


def keep(file: Path, sha256: str, elsewhere: Path | None = None) -> None:
    """Keep what is known of a file, where it is large; not where nothing can be written."""
    with contextlib.suppress(OSError):
        if file.stat().st_size < KEPT_FROM_BYTES:
            return
    places = [beside(file)] if elsewhere is None else _places(file, elsewhere)
    for place in places:
        with contextlib.suppress(OSError):
            text = json.dumps({"sha256": sha256, **asdict(FileState.of(file))})
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = place.with_name(f"{place.name}.{os.getpid()}.part")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.rename(place)
            return


def beside(file: Path) -> Path:
    """Where a file's hash is kept."""
    return file.with_name(f".{file.name}.sha256")


def _places(file: Path, elsewhere: Path) -> list[Path]:
    named = hashlib.sha256(os.fsencode(file.absolute())).hexdigest()[:32]
    return [beside(file), elsewhere / f"{named}.sha256"]


def _kept(file: Path, elsewhere: Path, state: FileState) -> str | None:
    for place in _places(file, elsewhere):
        try:
            found: Any = json.loads(place.read_text(encoding="utf-8"))
            sha256 = found.pop("sha256")
            if found == asdict(state) and _SHA256.fullmatch(sha256):
                return str(sha256)
        except (OSError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
            continue
    return None
