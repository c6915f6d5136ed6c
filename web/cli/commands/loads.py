"""`inference-service load` and `unload`: models into memory and out of it."""

from __future__ import annotations

import sys
from http.client import ACCEPTED
from typing import Any

import click
import httpx

from web.cli.startup import load_settings

#: The service answers within its request timeout, whatever that is.
_SILENCE_S = 3600.0


@click.command()
@click.argument("model")
@click.option("--no-wait", is_flag=True, help="Only ask for it.")
def load(model: str, no_wait: bool) -> None:
    """Load MODEL in the running service, and wait until it answers."""
    _ask(model, "load", wait=not no_wait)


@click.command()
@click.argument("model")
@click.option("--no-wait", is_flag=True, help="Only ask for it.")
def unload(model: str, no_wait: bool) -> None:
    """Unload MODEL in the running service, once its running answers have ended."""
    _ask(model, "unload", wait=not no_wait)


def _ask(model: str, what: str, *, wait: bool) -> None:
    from web.access.keys import authorization
    from web.cli.up.command import address

    settings = load_settings()
    options: dict[str, Any] = {"headers": authorization(settings), "timeout": _SILENCE_S}
    path = f"{address(settings)}/v1/models/{model}/{what}"
    try:
        answer = httpx.post(path, params={"wait": str(wait).lower()}, **options)
        while wait and answer.status_code == ACCEPTED:  # longer than a request may take
            answer = httpx.post(path, **options)
        told = answer.json()
        message = told["error"]["message"] if answer.is_error else told["message"]
    except httpx.HTTPError as error:
        click.echo(f"inference-service: no service answers ({error})", err=True)
        sys.exit(1)
    except (ValueError, KeyError, TypeError):
        click.echo(f"inference-service: the service answered {answer.status_code}", err=True)
        sys.exit(1)
    click.echo(message, err=answer.is_error)
    sys.exit(1 if answer.is_error else 0)
