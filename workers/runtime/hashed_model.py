"""The hash of the model that this worker has in memory, found while it answers already."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from presets.model import ModelSpec
from presets.weights import model_hash
from presets.weights.file_hash import FileState
from workers.background import BackgroundThread

log = logging.getLogger(__name__)

#: Reading large files yields to decoding.
_NICENESS = 19


class HashedModel(BackgroundThread):
    """A thread that reads the model's files once, where nobody has; made before they are loaded.

    While the hash is not known, nothing is cached for the model.
    """

    def __init__(self, spec: ModelSpec, elsewhere: Path, on_found: Callable[[str], None]) -> None:
        """`elsewhere`: where hashes are kept that cannot stand beside their files."""
        super().__init__("model-hash")
        self._spec = spec
        self._elsewhere = elsewhere
        self._on_found = on_found
        self._before_load = self._states()
        #: None while it is not known, or cannot be.
        self.value: str | None = None

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere it would be the niceness of the whole process
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            found = model_hash.of(self._spec, self._elsewhere)
        except OSError as error:
            log.warning("nothing is cached for %s: %s", self._spec.id, error)
            return
        if self._before_load is None or self._states() != self._before_load:
            log.warning(
                "nothing is cached for %s: its files are others now than those that were loaded",
                self._spec.id,
            )
            return
        self.value = found
        self._on_found(found)

    def _states(self) -> tuple[FileState, ...] | None:
        try:
            return model_hash.states(self._spec)
        except OSError:
            return None
