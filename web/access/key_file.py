"""The file of API keys in the data directory: their hashes, with what each allows."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from web.access.keys import ENVIRONMENT, Key, KeysError, digest, new_id, new_text
from workers.contract.job import Priority

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = 1


def read(file: Path) -> tuple[Key, ...]:
    """The keys in the file; none where there is no file.

    Raises:
        KeysError: it cannot be read, or is no file of keys.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise KeysError(f"{file} was written by another version of this service")
        return tuple(Key.from_dict(entry) for entry in data["keys"])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KeysError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysError(f"{file} is no file of keys: {error!r}") from error


def add(
    file: Path,
    name: str,
    highest_priority: Priority | None = None,
    requests_per_minute: int | None = None,
    *,
    admin: bool = False,
) -> str:
    """Make a key and keep its hash; returns the key, which is kept nowhere.

    Raises:
        KeysError: the name is taken, or no key may have it, or the file cannot be changed.
    """
    if not _NAME.fullmatch(name) or name.startswith(ENVIRONMENT):
        raise KeysError(
            f"{name!r} is no name for a key: 1 to 64 letters, digits and . _ -, "
            f"not beginning with {ENVIRONMENT!r}"
        )
    text = new_text()
    key = Key(
        name, digest(text), new_id(), highest_priority, requests_per_minute, _now(), admin=admin
    )
    with _changing(file) as keys:
        if any(other.name == name for other in keys):
            raise KeysError(f"there is a key {name!r} already; revoke it first")
        keys.append(key)
    return text


def rotate(file: Path, name: str, grace_s: float = 0.0) -> str:
    """Replace a key's text; returns the new one, which is kept nowhere.

    Its id stays, and so do its jobs. The former text is valid for `grace_s` more; one before that
    is not.

    Raises:
        KeysError: there is no such key, or the file cannot be changed.
    """
    text = new_text()
    with _changing(file) as keys:
        place = _place(file, keys, name)
        former = keys[place]
        keys[place] = replace(
            former,
            sha256=digest(text),
            rotated=_now(),
            former_sha256=former.sha256 if grace_s else "",
            former_until=time.time() + grace_s if grace_s else 0.0,
        )
    return text


def revoke(file: Path, name: str) -> int:
    """Forget a key; returns how many are left in the file.

    Raises:
        KeysError: there is no such key, or the file cannot be changed.
    """
    with _changing(file) as keys:
        del keys[_place(file, keys, name)]
        return len(keys)


def _place(file: Path, keys: list[Key], name: str) -> int:
    for place, key in enumerate(keys):
        if key.name == name:
            return place
    raise KeysError(f"there is no key {name!r} in {file}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def _changing(file: Path) -> Iterator[list[Key]]:
    """The file's keys, written back when the block ends without an error."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeysError(f"{file} cannot be changed: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read(file))
        yield keys
        _write(file, keys)
    finally:
        os.close(lock)


def _write(file: Path, keys: Iterable[Key]) -> None:
    text = json.dumps({"version": _VERSION, "keys": [key.to_dict() for key in keys]}, indent=2)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    # Readers see the old file or the new one, never half of it.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as writer:
        writer.write(text + "\n")
        writer.flush()
        os.fsync(writer.fileno())
    os.replace(fresh, file)
