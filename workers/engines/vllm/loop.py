"""An event loop in a thread of its own, for callers on other threads."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

from workers.background import BackgroundThread

log = logging.getLogger(__name__)

T = TypeVar("T")

_STOPS_WITHIN_S = 5.0


class Loop(BackgroundThread):
    """Runs coroutines until `stop`. Safe from any thread but its own."""

    def __init__(self) -> None:
        """Start at once."""
        super().__init__("vllm", ends_within_s=_STOPS_WITHIN_S)
        self._loop = uvloop.new_event_loop()
        self.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; cancelling what is returned cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and wait for what it returns; what it raises is raised."""
        return self.begin(work).result()

    def stop(self) -> None:
        """Cancel what runs, then end the thread."""
        try:
            self.begin(_cancel_all()).result(_STOPS_WITHIN_S)
        except TimeoutError:
            log.warning("vLLM's event loop does not respond; it is not waited for")
        self._loop.call_soon_threadsafe(self._loop.stop)
        super().stop()

    def _run(self) -> None:
        # Processes started from this thread inherit its mask. A signal that ends a worker reaches
        # its whole group, from `up` as from a terminal; the worker still answers for its grace, so
        # the processes it answers with must not get it. They are ended by SIGKILL.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
