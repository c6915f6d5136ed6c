"""The keys that are valid now: those of the environment, and those of the file."""

from __future__ import annotations

import logging
import threading

from web.access import key_file
from web.access.keys import Key, KeysError, of_environment
from workers.settings import Settings

log = logging.getLogger(__name__)


class KeyRing:
    """The keys that are valid now; a file that has changed is read at the next request."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            KeysError: the file of keys cannot be read.
        """
        self._file = settings.keys_file
        self._fixed = of_environment(settings)
        self._lock = threading.Lock()
        self._read_version = self._version()
        self._keys = self._fixed + key_file.read(self._file)
        self._demanded = settings.has_keys

    def keys(self) -> tuple[Key, ...] | None:
        """The keys; None where no key is needed.

        A process that once needed keys goes on needing them, even when their file is gone: a
        deleted file must not open a service that listens to the network.
        """
        version = self._version()
        if version != self._read_version:
            with self._lock:
                self._read_again(version)
        return self._keys if self._demanded else None

    def _read_again(self, version: tuple[int, ...] | None) -> None:
        self._demanded = self._demanded or version is not None
        try:
            self._keys = self._fixed + key_file.read(self._file)
        except KeysError as error:
            log.error("API keys cannot be read, the old ones stay valid: %s", error)
        else:
            log.info("API keys reloaded: %d", len(self._keys))
        self._read_version = version

    def _version(self) -> tuple[int, ...] | None:
        try:
            file = self._file.stat()
        except FileNotFoundError:
            return None
        return file.st_mtime_ns, file.st_ino, file.st_size
