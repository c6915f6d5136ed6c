"""API keys: those of INFERENCE_API_KEYS, and a file of hashes in the data directory.

The hash is plain SHA-256. A slow hash protects passwords because people choose guessable ones; a
key made here has 256 random bits, which nobody guesses at any speed, and a slow hash would cost
every request its tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.contract.job import Priority
from workers.settings import Settings

log = logging.getLogger(__name__)

#: What a key begins with, so that scanners and people recognise one that leaked.
PREFIX = "isk-"
_RANDOM_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Names of keys from the environment begin with this.
_ENVIRONMENT = "env-"
_VERSION = 1


class KeysError(Exception):
    """The keys cannot be read or changed as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who a caller is and what they may do."""

    name: str
    sha256: str
    #: The highest priority its requests may have; None: any.
    highest_priority: Priority | None = None
    #: None: as many as it likes.
    requests_per_minute: int | None = None
    #: When it was made, ISO 8601; "" for keys of the environment.
    created: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The key as the file keeps it."""
        highest = self.highest_priority
        return {
            "name": self.name,
            "sha256": self.sha256,
            "highest_priority": None if highest is None else highest.name.lower(),
            "requests_per_minute": self.requests_per_minute,
            "created": self.created,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Key:
        """The key that `to_dict` wrote."""
        highest = data.get("highest_priority")
        return Key(
            name=str(data["name"]),
            sha256=str(data["sha256"]),
            highest_priority=None if highest is None else Priority[highest.upper()],
            requests_per_minute=data.get("requests_per_minute"),
            created=str(data.get("created", "")),
        )


def find(keys: Iterable[Key], presented: str) -> Key | None:
    """The key that was presented.

    Every key is compared, each in constant time: how long it takes tells nothing.
    """
    digest = _digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def of_environment(settings: Settings) -> tuple[Key, ...]:
    """The keys of INFERENCE_API_KEYS, named by their place in it."""
    texts = enumerate(settings.api_keys, start=1)
    return tuple(Key(f"{_ENVIRONMENT}{number}", _digest(text)) for number, text in texts)


def authorization(settings: Settings) -> dict[str, str]:
    """The header that our own command line sends: with the first key of INFERENCE_API_KEYS."""
    if not settings.api_keys:
        return {}
    return {"Authorization": f"Bearer {settings.api_keys[0]}"}


def read_file(file: Path) -> tuple[Key, ...]:
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
) -> str:
    """Make a key and keep its hash; returns the key, which nothing else ever tells.

    Raises:
        KeysError: the name is taken or no name, or the file cannot be changed.
    """
    if not _NAME.fullmatch(name) or name.startswith(_ENVIRONMENT):
        raise KeysError(
            f"{name!r} is no name for a key: 1 to 64 letters, digits and . _ -, "
            f"not beginning with {_ENVIRONMENT!r}"
        )
    text = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    key = Key(name, _digest(text), highest_priority, requests_per_minute, created)
    with _changing(file) as keys:
        if any(other.name == name for other in keys):
            raise KeysError(f"there is a key {name!r} already; revoke it first")
        keys.append(key)
    return text


def revoke(file: Path, name: str) -> int:
    """Forget a key; returns how many are left in the file.

    Raises:
        KeysError: there is no such key, or the file cannot be changed.
    """
    with _changing(file) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeysError(f"there is no key {name!r} in {file}")
        keys[:] = left
    return len(left)


class KeyRing:
    """The keys that are valid now; changes to the file are seen at the next request."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            KeysError: the file of keys cannot be read.
        """
        self._file = settings.keys_file
        self._fixed = of_environment(settings)
        self._lock = threading.Lock()
        self._seen = self._look()
        self._keys = self._fixed + read_file(self._file)
        self._demanded = settings.has_keys

    def keys(self) -> tuple[Key, ...] | None:
        """The keys; None where no key is needed.

        A process that once needed keys goes on needing them, even when their file is gone: a
        deleted file must not open a service that listens to the network.
        """
        seen = self._look()
        if seen != self._seen:
            with self._lock:
                self._read_again(seen)
        return self._keys if self._demanded else None

    def _read_again(self, seen: tuple[int, ...] | None) -> None:
        self._demanded = self._demanded or seen is not None
        try:
            self._keys = self._fixed + read_file(self._file)
        except KeysError as error:
            log.error("the keys stay as they were: %s", error)
        else:
            log.info("API keys were read again: %d", len(self._keys))
        self._seen = seen

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


@contextlib.contextmanager
def _changing(file: Path) -> Iterator[list[Key]]:
    """The file's keys, written back when the block ends without an error."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeysError(f"{file} cannot be changed: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read_file(file))
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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
