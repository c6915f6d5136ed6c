"""A worker's own port, at which its metrics alone are scraped."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from workers.metrics.process_metrics import ProcessMetrics
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that a scraper has for each part of its request.
SILENCE_S = 5.0
#: Scrapers at once.
MOST_AT_ONCE = 8


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


def open_if_set(settings: Settings, metrics: ProcessMetrics) -> None:
    """Listen at INFERENCE_METRICS_PORT until the process ends, where it is set.

    Where the port is taken, as by another worker of this machine, a line of the log says so.
    """
    if settings.metrics_port is None:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, make_wsgi_app(metrics.registry), _Server, _Handler)
    except OSError as error:
        log.warning("no metrics at %s:%d (INFERENCE_METRICS_PORT): %s", host, port, error)
        return
    threading.Thread(target=server.serve_forever, name="scrape-port", daemon=True).start()
    log.info("metrics of this worker at %s:%d/metrics", host, port)
