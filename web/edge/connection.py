"""One client's connection, and what the system is asked for connections."""

from __future__ import annotations

import logging
import resource
import socket
import struct
from collections.abc import Mapping
from typing import Any

from web.edge.incoming import Incoming

log = logging.getLogger(__name__)


class Connection:
    """One client's connection and the request that comes on it."""

    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        self.sock, self.client, self.server = sock, client, server
        #: Monotonic time by which something must happen: what, depends on where it is kept.
        self.timeout = 0.0
        self.incoming: Incoming
        #: Requests it has sent.
        self.requests = 0
        #: Bytes thrown away since its last answer.
        self.lingered = 0

    def close(self, graceful: bool = False) -> None:
        """Close the socket; gunicorn's own worker calls it too."""
        try:
            self.sock.close()
        except OSError as error:
            log.debug("a connection was closed already: %s", error)


def bound_sending(sock: socket.socket, timeout_s: float) -> None:
    """Let a blocking send end where the client takes nothing for so long.

    The kernel's own time-out: Python's would count for receiving too, and WebSockets wait long.
    """
    whole, part = divmod(timeout_s, 1)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(whole), int(part * 1e6))
    )


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files to what the bounds add up to, as far as it may go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def client_socket(environ: Mapping[str, Any]) -> socket.socket | None:
    """The connection that a request came on; None where there is none, as with a test client.

    gunicorn 27.0 gives it under a key of its own, which WSGI does not know;
    `tests/integration/test_private_parts.py` fails where a new version does not.
    """
    connection: socket.socket | None = environ.get("gunicorn.socket")
    return connection
