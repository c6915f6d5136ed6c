"""The signals that `up` waits for: to stop, and that a child has ended."""

from __future__ import annotations

import os
import select
import signal
from typing import Any


class StopSignals:
    """Counts how often the service was asked to stop, and wakes where a child has ended."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes `wait`, and nothing else
        self._readable, written = os.pipe()
        for descriptor in (self._readable, written):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def wait(self, seconds: float) -> None:
        """Wait for a signal, or so long."""
        if select.select([self._readable], [], [], seconds)[0]:
            os.read(self._readable, 4096)

    def _take(self, *_: Any) -> None:
        self.count += 1
