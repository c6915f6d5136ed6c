"""Exchanges: how a route opens one, and that it is closed however the route ends."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from web.departures import Departures
from web.exchange import Exchange, Shared
from workers.admission import Idempotency
from workers.contract.job import Job


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Opens exchanges, and notices the clients that leave theirs."""

    shared: Shared
    departures: Departures

    @contextlib.contextmanager
    def open(
        self,
        job: Job,
        connection: socket.socket | None = None,
        idempotency: Idempotency | None = None,
    ) -> Iterator[Exchange]:
        """Accept a job, start it and read it.

        Leaving the block early cancels it, unless it came with an Idempotency-Key: then its caller
        may come back for the answer.

        Raises:
            InferenceError: as `Submitter.accept`.
            BrokerUnavailable: Redis is away; nothing was started.
        """
        exchange = Exchange(self.shared, job, idempotency)
        try:
            exchange.enter()
            with self.departures.watching(connection, exchange.leave):
                yield exchange
        finally:
            exchange.leave()
            exchange.close()
