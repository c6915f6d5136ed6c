"""What is reached into of kombu and Celery, read in kombu 5.7 and Celery 5.7.

`tests/integration/test_private_parts.py` fails where a new version moves any of it.

kombu's Redis transport is without its own recovery here. When a connection drops kombu puts every
unacknowledged message back on its queue, through a channel that it has half closed by then; where a
message is in hand this raises AttributeError and ends the worker. Here recovery has one path, the
keeper's: nothing is put back. Neither is anything written down for it (`ack_emulation` is off in
`celeryconfig`), which saves every message two round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, bootsteps
from kombu.transport import TRANSPORT_ALIASES, redis


class _Ours:
    """What channels do here: they put nothing back when they close, and make their client once."""

    do_restore = False
    _create_client: Callable[[], Any]
    _shared_client: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """The given client, or this channel's; kombu makes one anew each time, in half a ms."""
        if client is None:
            if self._shared_client is None:
                self._shared_client = self._create_client()
            client = self._shared_client
        yield client


class Channel(_Ours, redis.Channel):
    """A channel to one server."""


class SentinelChannel(_Ours, redis.SentinelChannel):
    """A channel to the server that Sentinel names."""


class Transport(redis.Transport):
    """What `redis://`, `rediss://` and `redis+socket://` mean in this process."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """What `sentinel://` means in this process."""

    Channel = SentinelChannel


def install() -> None:
    """Let kombu use these transports for every Redis address."""
    aliases: dict[str, Any] = TRANSPORT_ALIASES
    aliases["redis"] = aliases["rediss"] = f"{__name__}:Transport"
    aliases["sentinel"] = f"{__name__}:SentinelTransport"


def priority_list(queue_name: str, rank: int) -> str:
    """The Redis list in which kombu keeps a queue's messages of one rank; 0 is the most urgent."""
    return f"{queue_name}{Channel.sep}{rank}" if rank else queue_name


def tick(app: Celery, every_s: float, tick: Callable[[], None]) -> None:
    """Call `tick` at the start of the consumer's loop, and every so often while the loop runs."""

    class Ticker(bootsteps.StartStopStep):  # type: ignore[misc]
        """Ticks while the consumer's loop runs; a reconnection starts it anew."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            tick()
            self._timer = consumer.timer.call_repeatedly(every_s, tick)

        def stop(self, _consumer: Any) -> None:
            self._timer.cancel()

    app.steps["consumer"].add(Ticker)


def on_revoke(cancel: Callable[[list[str]], None]) -> None:
    """Let the control commands `revoke` and `terminate` of this worker call `cancel` with the
    tasks' ids, instead of what Celery does.
    """
    from celery.worker.control import Panel, ok  # a front end needs none of it

    def revoke(_state: Any, task_id: str | Iterable[str], **_: Any) -> dict[str, str]:
        ids = [task_id] if isinstance(task_id, str) else list(task_id)
        cancel(ids)
        return dict(ok(f"jobs of {len(ids)} tasks cancelled"))

    # The registry's own decorator would take the name from the function.
    Panel.data["revoke"] = revoke
    Panel.data["terminate"] = lambda state, signal, task_id, **_: revoke(state, task_id)


def expect_members(app: Celery, group: str, count: int) -> None:
    """Let a chord's body be sent once so many members of the group have ended.

    Raises:
        redis.RedisError: Redis is away.
    """
    app.backend.set_chord_size(group, count)
