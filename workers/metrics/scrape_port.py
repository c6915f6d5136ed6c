"""A worker's own port, at which its metrics alone are scraped."""

from __future__ import annotations

import errno
import logging
import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from workers.metrics.process_metrics import ProcessMetrics
from workers.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

#: Seconds that a scraper has for each part of its request.
SILENCE_S = 5.0
#: Scrapers at once.
MOST_AT_ONCE = 8
#: Ports that are tried, from the one that is set: workers of one machine each have their own.
MOST_PORTS = 64
_LAST_PORT = 65535


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As the base does, and ask no name server for our own name: that may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def verify_request(self, *_: object) -> bool:
        """Whether there is a place for one more."""
        return self._places.acquire(blocking=False)

    def process_request_thread(self, *request: Any) -> None:
        """Answer one scraper."""
        try:
            super().process_request_thread(*request)
        finally:
            self._places.release()


class _Handler(WSGIRequestHandler):
    timeout = SILENCE_S

    def log_message(self, *_: object) -> None:
        """A scrape is no news."""


def open_if_set(settings: Settings, metrics: ProcessMetrics) -> int | None:
    """Listen at INFERENCE_METRICS_PORT until the process ends, where it is set.

    Where another has that port, as a worker of this machine that began earlier, it is the next one
    that is free. Returns the port; None where there is none, which a line of the log explains.
    """
    if settings.metrics_port is None:
        return None
    host, first = settings.metrics_host, settings.metrics_port
    try:
        server = _bound(host, first, make_wsgi_app(metrics.registry))
    except OSError as error:
        log.warning("no metrics at %s:%d (INFERENCE_METRICS_PORT): %s", host, first, error)
        return None
    threading.Thread(target=server.serve_forever, name="scrape-port", daemon=True).start()
    port = server.server_port
    log.info("metrics of this worker alone at http://%s:%d/metrics", host, port)
    return port


def _bound(host: str, first: int, app: WSGIApplication) -> WSGIServer:
    """A server at the first port that is free.

    Raises:
        OSError: there is none, or the address is not ours to listen at.
    """
    ports = range(first, min(first + MOST_PORTS, _LAST_PORT + 1))
    for port in ports:
        try:
            return make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"ports {ports[0]} to {ports[-1]} are taken")
