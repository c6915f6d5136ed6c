"""gunicorn's threaded worker, with requests that are whole before a thread is given to them.

gunicorn's own gives a thread to a connection whose first byte has come: 256 clients that send half
a header take all threads, and nobody else is answered. Here the thread that accepts also reads,
without waiting, and a thread is given to a request whose head and body are there. What is
incomplete has a deadline and a bound; the oldest goes first, whoever sent it: a gateway is one
address.

What was weighed: waitress reads requests like this, but keeps the socket to itself, and WebSockets
and the look at a waiting client's socket (`web.live.disconnects`) need it; it also hands every
piece of an answer to one thread, which is what streams are made of. cheroot reads the head in a
thread of its pool. hypercorn and uvicorn speak to a WSGI application through a bridge, granian
through Rust; none shows the socket. gunicorn's gevent worker was no faster at 800 streams, and all
that waits here would have to be patched. So gunicorn's threaded worker stays, and this class is
what it lacks (read in gunicorn 27).
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.workers.gthread import ThreadWorker

from web.access.auth import OPEN_PATHS
from web.edge import limits, refusals
from web.edge.body import Body, BytesInFlight
from web.edge.chunked import WrongChunk
from web.edge.connection import Connection, allow_open_files, bound_sending
from web.edge.incoming import Incoming, Phase
from web.edge.refusals import Reason, Refusal
from workers.metrics import instruments
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Bytes that are read from one connection before the next one's turn.
_READ_BYTES = 65_536
#: Seconds in which a client may read its last answer before its connection is closed. Closing with
#: bytes unread would reset it, and the answer with it; what it still sends is thrown away.
_LINGER_S = 2.0
#: Bytes that are thrown away then.
_LINGER_BYTES = 16 * 2**20
#: Threads that answer `/health` and `/health/ready` alone.
_HEALTH_THREADS = 2
#: Seconds that a stopping worker gives requests that are not whole.
_STOPPING_S = 2.0
#: What a system lacks when no connection can be taken in.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class EdgeWorker(ThreadWorker):  # type: ignore[misc]
    """Reads requests whole, then answers each on a thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings: Settings = self.app.settings
        #: Connections whose request is not whole, the oldest first.
        self._incomplete: dict[Connection, None] = {}
        #: Connections that have their last answer.
        self._lingering: dict[Connection, None] = {}
        self._in_flight = BytesInFlight(self._settings.max_bodies_mb * limits.MB)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """The threads of requests; those of `/health` are others, and so always there."""
        self._health_pool = ThreadPoolExecutor(_HEALTH_THREADS, thread_name_prefix="health")
        return ThreadPoolExecutor(self.cfg.threads, thread_name_prefix="web")

    def load_wsgi(self) -> None:
        """Load the application, and learn from it how large bodies may be and who counts."""
        super().load_wsgi()
        self._body_limit = limits.of_requests(self.wsgi, self._settings)
        services = self.wsgi.extensions["inference"]
        self._metrics, self._draining = services.metrics, services.draining
        allow_open_files(self.worker_connections + 256)

    # --- Connections, on the thread that accepts ---

    def accept(self, listener: Any) -> None:
        """Take a new connection in; its request may have come with it."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL):
                raise  # the listener is gone
            if error.errno in _EXHAUSTED:
                log.warning("cannot accept a connection: %s", error)
                self._drop_oldest()
                self.set_accept_enabled(False)  # until the next turn of the loop, which asks again
            return  # what else may be wrong is wrong with that one connection
        try:
            sock.setblocking(False)
            bound_sending(sock, self._settings.send_timeout_s)
        except OSError as error:
            log.debug("a client closed its connection at once: %s", error)
            sock.close()
            return
        connection = Connection(sock, client, listener.getsockname())
        self.nr_conns += 1
        self._await_request(connection, b"")
        self._register(connection, self._on_readable)
        self._on_readable(connection, sock)

    def _await_request(self, connection: Connection, data: bytes) -> None:
        """Let the next request of a connection begin, with what has come of it already."""
        connection.requests += 1
        connection.incoming = Incoming(
            self.cfg,
            connection.client,
            connection.requests,
            self._body_limit,
            Body(self._in_flight, partial(self._make_room, connection)),
        )
        connection.timeout = time.monotonic() + self._settings.head_timeout_s
        if len(self._incomplete) >= self._settings.max_incomplete:
            self._refuse(next(iter(self._incomplete)), refusals.of_crowd(len(self._incomplete)))
        self._incomplete[connection] = None
        if data:
            self._feed(connection, data)

    def _on_readable(self, connection: Connection, _sock: Any) -> None:
        """Read what has come of a request."""
        if connection not in self._incomplete:
            return  # closed since the poller reported it
        try:
            data = connection.sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._feed(connection, data)
        else:
            self._drop(connection)

    def _feed(self, connection: Connection, data: bytes) -> None:
        incoming = connection.incoming
        before = incoming.phase
        try:
            incoming.feed(data)
        except (ParseException, NoMoreData, StopIteration, WrongChunk) as problem:
            log.debug("a request from %s is refused: %s", connection.client, str(problem)[:200])
            self._refuse(connection, refusals.of_wrong(problem))
            return
        except Exception:
            log.exception("unexpected error while reading a request")
            self._refuse(connection, refusals.of_failure())
            return
        if incoming.phase is Phase.WHOLE:
            self._hand_over(connection)
        elif before is Phase.HEAD and incoming.phase is not Phase.HEAD:
            connection.timeout = time.monotonic() + self._settings.body_timeout_s
            if incoming.awaits_continue:
                incoming.awaits_continue = False
                self._send(connection, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _make_room(self, newcomer: Connection) -> bool:
        """Throw away the oldest body that is not whole, for bytes of `newcomer`; False: its own.

        Whoever sends large bodies slowly would hold all room for as long as a body may take.
        """
        for connection in self._incomplete:
            if connection is newcomer:
                return False
            if connection.incoming.body.held:
                connection.incoming.refuse_for_room()
                return True
        return False

    def _hand_over(self, connection: Connection) -> None:
        """Give a request that is whole to a thread."""
        del self._incomplete[connection]
        self._unregister(connection)
        path = connection.incoming.request.path
        pool = self._health_pool if path in OPEN_PATHS else self.tpool
        future = pool.submit(self.handle, connection)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, connection, done)
        )

    def finish_request(self, connection: Connection, future: Future[bool]) -> None:
        """Go on with a connection whose request was answered."""
        incoming = connection.incoming
        incoming.body.release()
        answered = not future.cancelled() and future.exception() is None and future.result()
        if not answered:
            self._linger(connection)
            return
        connection.sock.setblocking(False)
        if rest := incoming.rest():
            self._register(connection, self._on_readable)
            self._await_request(connection, rest)
            return
        if len(self.keepalived_conns) >= self._settings.max_incomplete:
            self._drop(self.keepalived_conns[0])
        connection.timeout = time.monotonic() + self.cfg.keepalive
        self.keepalived_conns.append(connection)
        self._register(connection, self.on_client_socket_readable)

    def on_client_socket_readable(self, connection: Connection, sock: Any) -> None:
        """The next request of an idle connection begins."""
        if connection not in self.keepalived_conns:
            return
        self.keepalived_conns.remove(connection)
        self._unregister(connection)
        self._register(connection, self._on_readable)
        self._await_request(connection, b"")
        self._on_readable(connection, sock)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: take in nothing new, and let what runs end."""
        self._draining.begin()
        super().handle_exit(sig, frame)

    def murder_pending(self) -> None:
        """End what did not come in time; gunicorn calls it about once a second."""
        now = time.monotonic()
        settings = self._settings
        self._draining.look()
        for connection in list(self._incomplete):
            if not self.alive:
                connection.timeout = min(connection.timeout, now + _STOPPING_S)
            if connection.timeout > now:
                continue
            phase = connection.incoming.phase
            if not connection.incoming.begun:
                self._drop(connection)  # nothing was asked
            elif phase is Phase.DISCARDING:
                connection.incoming.end_early()
                self._hand_over(connection)
            elif phase is Phase.HEAD:
                self._refuse(connection, refusals.of_late_head(settings.head_timeout_s))
            else:
                self._refuse(connection, refusals.of_late_body(settings.body_timeout_s))
        for connection in list(self._lingering):
            if connection.timeout <= now:
                self._drop(connection)

    # --- Ends of connections ---

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answer what is no whole request, count it, and close."""
        self._count(refusal.reason)
        self._incomplete.pop(connection, None)
        connection.incoming.body.release()
        self._unregister(connection)
        self._send(connection, refusal.answer)
        self._linger(connection)

    def _count(self, reason: Reason) -> None:
        self._metrics.count(instruments.REFUSED_REQUESTS, reason.value)

    def _linger(self, connection: Connection) -> None:
        """Close a connection once its client has closed, or soon."""
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
            self._register(connection, self._on_lingering)
        except (OSError, ValueError, KeyError):  # reset, or closed by what used it
            self._drop(connection)
            return
        connection.timeout = time.monotonic() + _LINGER_S
        self._lingering[connection] = None

    def _on_lingering(self, connection: Connection, _sock: Any) -> None:
        if connection not in self._lingering:
            return
        try:
            data = connection.sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        connection.lingered += len(data)
        if not data or connection.lingered > _LINGER_BYTES:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        """Close a connection, wherever it is kept."""
        self._incomplete.pop(connection, None)
        self._lingering.pop(connection, None)
        if connection in self.keepalived_conns:
            self.keepalived_conns.remove(connection)
        connection.incoming.body.release()
        self._unregister(connection)
        connection.close()
        self.nr_conns -= 1

    def _drop_oldest(self) -> None:
        """Make room for a connection: of what waits for its client, the oldest goes."""
        self._count(Reason.EXHAUSTED)
        for kept in (self._lingering, self._incomplete, self.keepalived_conns):
            if kept:
                self._drop(next(iter(kept)))
                return

    def _send(self, connection: Connection, data: bytes) -> None:
        """Send some bytes if the client's window takes them; it is not waited for."""
        try:
            connection.sock.send(data)
        except OSError as error:
            log.debug("cannot answer a client: %s", error)

    def _register(self, connection: Connection, callback: Any) -> None:
        self.poller.register(connection.sock, selectors.EVENT_READ, partial(callback, connection))

    def _unregister(self, connection: Connection) -> None:
        try:
            self.poller.unregister(connection.sock)
        except (KeyError, ValueError, OSError):
            return  # it is not registered

    # --- Requests, each on its thread ---

    def handle(self, connection: Connection) -> bool:
        """Answer a request; whether its connection stays open."""
        request = connection.incoming.request
        try:
            connection.sock.setblocking(True)
            return bool(self.handle_request(request, connection))
        except StopIteration:  # a WebSocket has ended, or an answer that cannot be mended
            return False
        except OSError as error:
            if isinstance(error, BlockingIOError):
                log.info(
                    "a client read nothing for %g s; its connection is closed",
                    self._settings.send_timeout_s,
                )
            else:
                log.debug("a client closed its connection: %s", error)
            return False
        except Exception:
            log.exception("unexpected error while answering %s %s", request.method, request.path)
            self._send(connection, refusals.of_failure().answer)
            return False
