"""Connections to Redis: where it is, and clients that neither hang nor give up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.settings import Settings
from workers.store import embedded

#: A command that takes longer has met a server that is not there.
COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
#: Connections of one client; a command holds one for about a millisecond.
MOST_CONNECTIONS = 32


def redis_url(settings: Settings) -> str:
    """The address of Redis: the one that is set, else that of the embedded server."""
    return settings.redis_url or embedded.url(settings.data_dir)


def broker_url(settings: Settings) -> str:
    """The same address in kombu's spelling."""
    url = redis_url(settings)
    if not url.startswith("unix://"):
        return url
    parts = urlsplit(url)
    password = f":{parts.password}@" if parts.password else ""
    return f"redis+socket://{password}{parts.path}"


def client(settings: Settings) -> Redis:
    """A client with a pool of its own, answers as bytes.

    A connection that turns out dead is replaced once, without a pause: a server that restarted
    is found at once, one that is away is reported at once. Who finds all connections in use waits
    for one: hundreds that connect at the same moment overflow what the server accepts.
    """
    url = redis_url(settings)
    network: dict[str, Any] = {}
    if not url.startswith("unix://"):
        network = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_keepalive": True}
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        **network,
    )
    return Redis.from_pool(pool)


def redis_time_ms(redis: Redis) -> int:
    """The time that every process agrees on: Redis TIME, in milliseconds.

    Raises:
        redis.RedisError: Redis is away.
    """
    now: Any = redis.time()
    return int(now[0]) * 1000 + int(now[1]) // 1000
