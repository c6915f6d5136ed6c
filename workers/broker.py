"""kombu's Redis transport, without its own recovery.

When a connection drops kombu puts every unacknowledged message back on its queue, through a channel
that it has half closed by then; where a message is in hand this raises AttributeError and ends the
worker (kombu 5.7). Here recovery has one path, the keeper's: nothing is put back. Neither is
anything written down for it (`ack_emulation` is off in `celeryconfig`), which saves every message
two round trips.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that puts nothing back when it closes, and makes its client once."""

    do_restore = False
    _shared_client: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """The given client, or this channel's; kombu makes one anew each time, in half a ms."""
        if client is None:
            if self._shared_client is None:
                self._shared_client = self._create_client()
            client = self._shared_client
        yield client


class Transport(redis.Transport):
    """What `redis://` and `redis+socket://` mean in this process."""

    Channel = Channel


def install() -> None:
    """Let kombu use this transport for every Redis address."""
    aliases: dict[str, Any] = TRANSPORT_ALIASES
    aliases["redis"] = aliases["rediss"] = f"{__name__}:Transport"
