"""Whether vLLM moves: it tells of every step, also of one that only reads a prompt."""

from __future__ import annotations

import time
from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase


class StepMonitor:
    """When vLLM last made a step, and how many requests it has."""

    def __init__(self) -> None:
        self._moved_at = time.monotonic()
        self._running = 0

    @property
    def stalled_s(self) -> float:
        """Seconds since the last step, while there is work; 0 where there is none."""
        return time.monotonic() - self._moved_at if self._running else 0.0

    def beat(self) -> None:
        """A step was made."""
        self._moved_at = time.monotonic()

    def began(self) -> None:
        """There is one more request. Called on the event loop, as is `ended`."""
        if not self._running:
            self.beat()
        self._running += 1

    def ended(self) -> None:
        """There is one less."""
        self._running -= 1

    def logger(self, _config: Any, _engine: int = 0) -> StatLoggerBase:
        """What vLLM is given to tell its steps to."""
        return _Steps(self)


class _Steps(StatLoggerBase):  # type: ignore[misc]
    def __init__(self, pulse: StepMonitor) -> None:
        self._pulse = pulse

    def record(self, *_: Any, **__: Any) -> None:
        self._pulse.beat()

    def log_engine_initialized(self) -> None:
        self._pulse.beat()
