"""`inference-service load`: models into memory."""

from __future__ import annotations

import click

from web.cli.model_orders import order


@click.command()
@click.argument("model")
@click.option("--no-wait", is_flag=True, help="Return at once; the load continues.")
def load(model: str, no_wait: bool) -> None:
    """Load MODEL into memory, and wait until it is loaded."""
    order(model, "load", wait=not no_wait)
