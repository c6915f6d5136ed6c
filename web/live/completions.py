"""Live completions: opened for a request, and left when its client leaves."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.semantic.eligibility import CacheWishes
from web.live.completion import LiveCompletion
from web.live.disconnects import Disconnects
from web.live.draining import Draining
from web.live.opening import Dependencies, Opening
from workers.contract.job import Job
from workers.store.admission import Idempotency


@dataclass(frozen=True, slots=True)
class LiveCompletions:
    """Opens live completions, and cancels those whose clients leave."""

    dependencies: Dependencies
    disconnects: Disconnects
    draining: Draining

    @contextlib.contextmanager
    def open(
        self,
        job: Job,
        connection: socket.socket | None = None,
        idempotency: Idempotency | None = None,
        *,
        may_share: bool = False,
        wishes: CacheWishes | None = None,
    ) -> Iterator[LiveCompletion]:
        """Accept a job, start it and read it; `may_share` and `wishes` as in `Opening`.

        Leaving the block early cancels it, unless it came with an Idempotency-Key: then its caller
        may come back for the answer.

        Raises:
            InferenceError: as `Opening.attempt`; nothing was started.
        """
        opening = Opening(self.dependencies, job, idempotency, may_share=may_share, wishes=wishes)
        completion = LiveCompletion(self.dependencies, opening, idempotency)
        try:
            opening.attempt()
            with (
                self.disconnects.watching(connection, completion.leave),
                self.draining.closing(completion.stop),
            ):
                yield completion
        finally:
            completion.leave()
            opening.close()
