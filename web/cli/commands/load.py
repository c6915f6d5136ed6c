"""`inference-service load`: models into memory."""

from __future__ import annotations

import click

from web.cli.model_orders import order


@click.command()
@click.argument("model")
@click.option("--no-wait", is_flag=True, help="Only ask for it.")
def load(model: str, no_wait: bool) -> None:
    """Load MODEL in the running service, and wait until it answers."""
    order(model, "load", wait=not no_wait)
