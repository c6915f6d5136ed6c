"""Exchanges: how a route opens one, and that it is closed however the route ends."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from web.live.completion import LiveCompletion, Shared
from web.live.disconnects import Disconnects
from workers.contract.job import Job
from workers.store.admission import Idempotency


@dataclass(frozen=True, slots=True)
class LiveCompletions:
    """Opens live_completions, and notices the clients that leave theirs."""

    shared: Shared
    disconnects: Disconnects

    @contextlib.contextmanager
    def open(
        self,
        job: Job,
        connection: socket.socket | None = None,
        idempotency: Idempotency | None = None,
    ) -> Iterator[LiveCompletion]:
        """Accept a job, start it and read it.

        Leaving the block early cancels it, unless it came with an Idempotency-Key: then its caller
        may come back for the answer.

        Raises:
            InferenceError: as `Submitter.accept`.
            BrokerUnavailable: Redis is away; nothing was started.
        """
        exchange = LiveCompletion(self.shared, job, idempotency)
        try:
            exchange.enter()
            with self.disconnects.watching(connection, exchange.leave):
                yield exchange
        finally:
            exchange.leave()
            exchange.close()
