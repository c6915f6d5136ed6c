"""Whether vLLM makes steps: it reports every step, also one that only reads a prompt."""

from __future__ import annotations

import time
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase


class StepMonitor:
    """When vLLM last made a step, and how many requests it has."""

    def __init__(self) -> None:
        self._stepped_at = time.monotonic()
        self._running = 0

    @property
    def stalled_s(self) -> float:
        """Seconds since the last step, while there is work; 0 where there is none."""
        return time.monotonic() - self._stepped_at if self._running else 0.0

    def stepped(self) -> None:
        """A step was made."""
        self._stepped_at = time.monotonic()

    def began(self) -> None:
        """There is one more request. Called on the event loop, as is `ended`."""
        if not self._running:
            self.stepped()
        self._running += 1

    def ended(self) -> None:
        """There is one less."""
        self._running -= 1

    def logger(self, _config: Any, _engine: int = 0) -> StatLoggerBase:
        """The logger to which vLLM reports its steps."""
        return _Steps(self)


class _Steps(StatLoggerBase):  # type: ignore[misc]
    def __init__(self, monitor: StepMonitor) -> None:
        self._monitor = monitor

    def record(self, *_: Any, **__: Any) -> None:
        self._monitor.stepped()

    def log_engine_initialized(self) -> None:
        self._monitor.stepped()
