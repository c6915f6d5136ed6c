"""`inference-service flower`: queues and tasks in a browser."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from presets import installation
from web.access import hosts
from web.cli.flower_queues import FlowerQueues
from web.cli.problem import MISUSE
from workers.app import make_app
from workers.runtime import ending
from workers.settings import Settings
from workers.store import connections

#: Seconds that Flower's open requests get when it is asked to stop.
GRACE_S = 1.0
#: Why a port cannot be listened on.
_PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)


def run(settings: Settings) -> int:
    """Run Flower on loopback until it is stopped; returns the exit status."""
    try:
        import flower  # noqa: F401 - only whether it is there
    except ImportError:
        click.echo(
            f"Flower is not installed. Install it with: {installation.command('flower')}",
            err=True,
        )
        return MISUSE
    check_hosts(settings)
    show_queues(FlowerQueues(connections.client(settings)))
    ending.watch(GRACE_S)
    app = make_app(settings)
    options = [f"--port={settings.flower_port}", "--address=127.0.0.1"]
    try:
        app.start(argv=["flower", *options])
    except OSError as error:
        if error.errno not in _PORT_ERRORS:
            raise
        click.echo(
            f"Port {settings.flower_port} of 127.0.0.1 cannot be used ({error.strerror}). "
            "Set INFERENCE_FLOWER_PORT to another.",
            err=True,
        )
        return MISUSE
    return 0


def show_queues(queues: FlowerQueues) -> None:
    """Let the Broker page, and the API beside it, ask our client (read in flower 2.2)."""
    views: Any = importlib.import_module("flower.views")
    views.BaseHandler.get_broker = lambda _handler: queues
    views.BaseHandler.get_active_queue_names = lambda _handler: ()


def check_hosts(settings: Settings) -> None:
    """Let Flower answer only to names that the service answers to.

    Flower has no such option, and its command makes its own application (read in flower 2.2): the
    class that it makes is replaced by one that looks at the header Host before any handler.
    """
    command: Any = importlib.import_module("flower.command")
    tornado: Any = importlib.import_module("tornado.web")
    allowed = hosts.allowed_names(settings)

    class Refused(tornado.RequestHandler):
        """Answers every method with the reason."""

        def prepare(self) -> None:
            self.set_status(403)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(hosts.refusal(self.request.headers.get("Host", "")) + "\n")

    class Checked(command.Flower):
        """Flower for the names that are allowed."""

        def find_handler(self, request: Any, **options: Any) -> Any:
            if hosts.is_allowed(request.headers.get("Host", ""), allowed):
                return super().find_handler(request, **options)
            return self.get_handler_delegate(request, Refused)

    command.Flower = Checked
