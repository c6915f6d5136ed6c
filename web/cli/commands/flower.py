"""`inference-service flower`: queues and tasks in a browser."""

from __future__ import annotations

import base64
import errno
import hmac
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
    """Run Flower until it is stopped; returns the exit status."""
    try:
        import flower  # noqa: F401 - only whether it is there
    except ImportError:
        click.echo(
            f"Flower is not installed. Install it with: {installation.command('flower')}",
            err=True,
        )
        return MISUSE
    check_callers(settings)
    show_queues(FlowerQueues(connections.client(settings)))
    ending.watch(GRACE_S)
    app = make_app(settings)
    options = [f"--port={settings.flower_port}", f"--address={settings.flower_host}"]
    if settings.flower_auth is not None:  # Flower's API answers with it alone
        options.append(f"--basic_auth={settings.flower_auth}")
    try:
        app.start(argv=["flower", *options])
    except OSError as error:
        if error.errno not in _PORT_ERRORS:
            raise
        click.echo(
            f"Port {settings.flower_port} of {settings.flower_host} cannot be used "
            f"({error.strerror}). Set INFERENCE_FLOWER_PORT to another.",
            err=True,
        )
        return MISUSE
    return 0


def show_queues(queues: FlowerQueues) -> None:
    """Let the Broker page, and the API beside it, ask our client (read in flower 2.2)."""
    views: Any = importlib.import_module("flower.views")
    views.BaseHandler.get_broker = lambda _handler: queues
    views.BaseHandler.get_active_queue_names = lambda _handler: ()


def check_callers(settings: Settings) -> None:
    """Let Flower answer only to names that the service answers to, and to whoever may see it.

    Flower has no option for names, asks nobody who reads its `/metrics` for a password, and its
    command makes its own application (read in flower 2.2): the class that it makes is replaced by
    one that looks at each request before any handler.
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

    class Unknown(tornado.RequestHandler):
        """Asks every method for the password."""

        def prepare(self) -> None:
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="Flower", charset="UTF-8"')
            self.finish("Flower asks for the name and password of INFERENCE_FLOWER_AUTH.\n")

    class Checked(command.Flower):
        """Flower for the names that are allowed, and for whoever knows the password."""

        def find_handler(self, request: Any, **options: Any) -> Any:
            if not hosts.is_allowed(request.headers.get("Host", ""), allowed):
                return self.get_handler_delegate(request, Refused)
            if not _is_known(request.headers.get("Authorization", ""), settings.flower_auth):
                return self.get_handler_delegate(request, Unknown)
            return super().find_handler(request, **options)

    command.Flower = Checked


def _is_known(header: str, credentials: str | None) -> bool:
    """Whether a header has these credentials; None: nobody is asked for any."""
    if credentials is None:
        return True
    expected = b"Basic " + base64.b64encode(credentials.encode())
    return hmac.compare_digest(header.encode("latin-1", errors="replace"), expected)
