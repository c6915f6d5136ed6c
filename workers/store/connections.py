"""Connections to Redis: where it is, and clients that neither hang nor give up."""

from __future__ import annotations

from typing import Any

from redis import (
    BlockingConnectionPool,
    Connection,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedSSLConnection

from workers.settings import Settings, redis_url
from workers.settings.redis_address import RedisAddress
from workers.store import embedded

#: A command that takes longer has met a server that is not there.
COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
#: Connections of one client; a command holds one for about a millisecond.
MOST_CONNECTIONS = 32


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """A pool of connections to the server that Sentinel names, for one of which who comes waits."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        """End the connections, with all of them those to the sentinels too."""
        super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                sentinel.connection_pool.disconnect()


def address(settings: Settings) -> RedisAddress:
    """The address of Redis: the one that is set, else that of the embedded server."""
    if settings.redis_url is None:
        return embedded.address(settings.data_dir)
    return redis_url.parse(settings.redis_url)


def client(settings: Settings) -> Redis:
    """A client with a pool of its own, answers as bytes.

    A connection that turns out dead is replaced once, without a pause: a server that restarted
    is found at once, one that is away is reported at once. Who finds all connections in use waits
    for one: hundreds that connect at the same moment overflow what the server accepts.
    """
    where = address(settings)
    options: dict[str, Any] = {
        "max_connections": MOST_CONNECTIONS,
        "timeout": COMMAND_TIMEOUT_S,
        "socket_timeout": COMMAND_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
        **where.login(),
    }
    if where.path is not None:
        options |= {"connection_class": UnixDomainSocketConnection, "path": where.path}
        options |= where.options
        return Redis.from_pool(BlockingConnectionPool(**options))
    options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_keepalive": True}
    options |= where.options
    if where.master_name is not None:
        if where.tls is not None:
            options |= {"connection_class": SentinelManagedSSLConnection, **where.tls}
        return Redis.from_pool(
            _SentinelPool(where.master_name, _sentinels(where, options), **options)
        )
    host, port = where.hosts[0]
    options |= {"connection_class": Connection, "host": host, "port": port}
    if where.tls is not None:
        options |= {"connection_class": SSLConnection, **where.tls}
    return Redis.from_pool(BlockingConnectionPool(**options))


def _sentinels(where: RedisAddress, options: dict[str, Any]) -> Sentinel:
    """The sentinels, asked with the timeouts that the server itself is asked with."""
    kept = ("socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry")
    asking = {**where.sentinel_options, **{name: options[name] for name in kept}}
    return Sentinel(where.hosts, sentinel_kwargs=asking)


def redis_time_ms(redis: Redis) -> int:
    """The time that every process agrees on: Redis TIME, in milliseconds.

    Raises:
        redis.RedisError: Redis is away.
    """
    now: Any = redis.time()
    return int(now[0]) * 1000 + int(now[1]) // 1000
