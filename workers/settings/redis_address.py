"""Where Redis is, and what redis-py, kombu and Celery each take of it.

The libraries read addresses in three ways, so none is given the text of INFERENCE_REDIS_URL: it is
read once (`redis_url`), and each gets what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

#: Options whose setting of Celery's results is not simply `redis_` and the name.
_CELERY_NAMES = {"health_check_interval": "redis_backend_health_check_interval"}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is and who asks. Exactly one of `hosts` and `path` is set."""

    #: As kombu and Celery have it.
    scheme: str
    #: Hosts and ports: one, or those of the sentinels.
    hosts: tuple[tuple[str, int], ...] = ()
    #: The path of the socket.
    path: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    #: Arguments of redis-py's TLS connection; None: the connection is plain.
    tls: Mapping[str, Any] | None = None
    #: What Sentinel calls the server.
    master_name: str | None = None
    #: Arguments of the connections to the sentinels themselves, in redis-py's words: who asks, TLS.
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Further arguments of every connection, in redis-py's words.
    options: Mapping[str, Any] = field(default_factory=dict)

    def login(self) -> dict[str, Any]:
        """Database, user and password as redis-py's connections take them."""
        return {"db": self.database, "username": self.user, "password": self.password}

    def kombu_url(self) -> str:
        """The address in the one spelling that kombu, Celery's results and Flower understand."""
        login = self._login_text()
        if self.path is not None:
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.database}"
        # kombu writes several servers as several addresses.
        return ";".join(
            f"{self.scheme}://{login}{_host_text(host)}:{port}/{self.database}"
            for host, port in self.hosts
        )

    def celery_settings(
        self, transport_options: Mapping[str, Any], result_options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Celery's settings for this address, these options of broker and results included."""
        sentinel: dict[str, Any] = {}
        if self.master_name is not None:
            sentinel["master_name"] = self.master_name
            sentinel["sentinel_kwargs"] = dict(self.sentinel_options)
        chosen: dict[str, Any] = {
            "broker_url": self.kombu_url(),
            "result_backend": self.kombu_url(),
            "broker_transport_options": {**transport_options, **self.options, **sentinel},
            "result_backend_transport_options": {**result_options, **sentinel},
        }
        if self.tls is not None:
            chosen["broker_use_ssl"] = chosen["redis_backend_use_ssl"] = dict(self.tls)
        for name, value in self.options.items():
            chosen[_CELERY_NAMES.get(name, f"redis_{name}")] = value
        return chosen

    def _login_text(self) -> str:
        if self.user is None and self.password is None:
            return ""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{quote(self.user or '', safe='')}{password}@"


def unix(path: str, password: str) -> RedisAddress:
    """The address of a socket on this machine."""
    return RedisAddress("unix", path=path, password=password)


def _host_text(host: str) -> str:
    return f"[{host}]" if ":" in host else host
