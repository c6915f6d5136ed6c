"""kombu's Redis transport, without its own recovery.

When a connection drops kombu puts every unacknowledged message back on its queue, through a channel
that it has half closed by then; where a message is in hand this raises AttributeError and ends the
worker (kombu 5.7). Here recovery has one path, the keeper's: nothing is put back, and acknowledging
over a channel that is gone does nothing. What stays in the worker's unacked keys is deleted by the
keeper when the worker has gone.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

log = logging.getLogger(__name__)


class QoS(redis.QoS):
    """Acknowledges only where the channel that delivered still lives."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge one message."""
        if self.channel.closed:
            log.info("message %s is done; the connection that brought it is gone", delivery_tag)
            return
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give one message back, or drop it."""
        if not self.channel.closed:
            super().reject(delivery_tag, requeue=requeue)


class Channel(redis.Channel):
    """A channel that puts nothing back when it closes."""

    do_restore = False
    QoS = QoS


class Transport(redis.Transport):
    """What `redis://` and `redis+socket://` mean in this process."""

    Channel = Channel


def install() -> None:
    """Let kombu use this transport for every Redis address."""
    name = f"{__name__}:Transport"
    aliases: dict[str, Any] = TRANSPORT_ALIASES
    aliases["redis"] = aliases["rediss"] = name
