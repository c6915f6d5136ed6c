"""The HTTP server: gunicorn with the worker of `web.edge`, used as a library."""

from __future__ import annotations

import atexit
import os
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from web.app import create_app
from web.edge.worker import EdgeWorker
from web.services import Services
from workers import logs
from workers.metrics.span_meter import span_meter
from workers.runtime import ending
from workers.runtime.ending import Ending
from workers.settings import Settings
from workers.tracing import recording

#: Seconds an idle connection stays open for the next request, a little over usual proxies' 60.
KEEPALIVE_S = 75
#: Connections beyond the threads wait here, instead of being refused by the kernel.
BACKLOG = 1024


class _Logger(Logger):  # type: ignore[misc]
    """Gunicorn's own lines, through our handlers."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True
        self.error_log.handlers[:] = []
        self.access_log.handlers[:] = []

    def access(self, *_: Any, **__: Any) -> None:
        """Our application logs requests itself, with their ids."""


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        threads = settings.web_threads + settings.max_sockets
        options: dict[str, Any] = {
            "bind": [settings.bind],
            # One process: its readers share one subscriber, and its threads wait, not compute.
            "workers": 1,
            "worker_class": EdgeWorker,
            # A socket that has asked for nothing yet waits on a thread beside those of requests.
            "threads": threads,
            # Beside those with a thread: incomplete ones, idle ones, and whole ones that wait.
            "worker_connections": threads + 2 * settings.max_incomplete + BACKLOG,
            "backlog": BACKLOG,
            "keepalive": KEEPALIVE_S,
            "graceful_timeout": int(settings.grace_s),
            "timeout": 60,
            "logger_class": _Logger,
            "proc_name": "inference-service web",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the process that serves, after the fork: threads start here."""
        Ending(self.settings.grace_s, os.getppid()).start()
        app = create_app(self.settings)
        services: Services = app.extensions["inference"]
        # Its last counts are told when this process ends.
        atexit.register(services.reporter.stop)
        recording.configure(self.settings, "web", span_meter(services.metrics))
        return app


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; ends the process."""
    logs.configure(settings, "web")
    ending.watch(settings.grace_s)
    _Server(settings).run()
