"""`inference-service load`: models into memory."""

from __future__ import annotations

import click

from web.cli import model_names
from web.cli.connection import service_command
from web.cli.model_orders import order


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.option("--no-wait", is_flag=True, help="Return at once; the load continues.")
@service_command
def load(model: str, no_wait: bool) -> None:
    """Load MODEL into memory, and wait until it is loaded."""
    order(model, "load", wait=not no_wait)
