"""`inference-service flower`: queues and tasks in a browser."""

from __future__ import annotations

import click

from workers.app import make_app
from workers.settings import Settings


def run(settings: Settings) -> int:
    """Run Flower on loopback until it is stopped; returns the exit status."""
    try:
        import flower  # noqa: F401 - only whether it is there
    except ImportError:
        click.echo("Flower is not installed: pip install 'inference-service[flower]'", err=True)
        return 2
    app = make_app(settings)
    options = [f"--port={settings.flower_port}", "--address=127.0.0.1"]
    app.start(argv=["flower", *options])
    return 0
