"""`inference-service unload`: models out of memory."""

from __future__ import annotations

import click

from web.cli import model_names
from web.cli.connection import service_command
from web.cli.model_orders import order


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.option("--no-wait", is_flag=True, help="Return at once; the unload continues.")
@service_command
def unload(model: str, no_wait: bool) -> None:
    """Unload MODEL from memory, after its running answers have ended."""
    order(model, "unload", wait=not no_wait)
