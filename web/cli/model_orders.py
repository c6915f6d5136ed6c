"""Orders to the running service: a model into memory, or out of it."""

from __future__ import annotations

import sys
from http.client import ACCEPTED
from typing import Any

import click

from web.cli.connection import reason
from web.cli.startup import load_settings

#: The service answers within its request timeout, whatever that is.
_SILENCE_S = 3600.0


def order(model: str, what: str, *, wait: bool) -> None:
    """Ask for `what`, load or unload, and end the process with what the service says."""
    import httpx

    from web.access.keys import authorization
    from web.cli.up.command import address

    settings = load_settings()
    options: dict[str, Any] = {
        "headers": authorization(settings, admin=True),
        "timeout": _SILENCE_S,
    }
    path = f"{address(settings)}/v1/models/{model}/{what}"
    try:
        answer = httpx.post(path, params={"wait": str(wait).lower()}, **options)
        while wait and answer.status_code == ACCEPTED:  # longer than a request may take
            answer = httpx.post(path, **options)
        body = answer.json()
        message = reason(answer) if answer.is_error else body["message"]
    except httpx.HTTPError as error:
        click.echo(f"inference-service: no service answers ({error})", err=True)
        sys.exit(1)
    except (ValueError, KeyError, TypeError):
        click.echo(f"inference-service: the service answered {answer.status_code}", err=True)
        sys.exit(1)
    click.echo(message, err=answer.is_error)
    sys.exit(1 if answer.is_error else 0)
