"""The turn to load: on one machine models are loaded one after the other.

Two workers that look at the free memory at once would both see the same.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def loading_turn(data_dir: Path) -> Iterator[None]:
    """Hold the turn from the look at the memory until the model is loaded.

    It is a lock of the kernel on a file in the data directory: a holder that dies gives it back.

    Raises:
        OSError: the data directory cannot be written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "loading.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting: another model is being loaded on this machine")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
