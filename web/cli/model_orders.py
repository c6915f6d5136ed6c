"""Orders to the service: a model into memory, or out of it."""

from __future__ import annotations

import sys
from http.client import ACCEPTED

import click

from web.cli.connection import connect, reason, service_address
from web.cli.problem import INTERRUPTED, CommandError

#: The service answers within its request timeout, whatever that is.
_SILENCE_S = 3600.0


def order(model: str, what: str, *, wait: bool) -> None:
    """Ask for `what`, load or unload, and end the process with what the service says.

    Raises:
        CommandError: the service refuses, or something else answers.
        httpx.HTTPError: no service answers.
    """
    path = f"/v1/models/{model}/{what}"
    with connect(admin=True, timeout_s=_SILENCE_S) as client:
        try:
            answer = client.post(path, params={"wait": str(wait).lower()})
            while wait and answer.status_code == ACCEPTED:  # longer than a request may take
                answer = client.post(path)
        except KeyboardInterrupt:
            options = service_address().options
            click.echo(f"\nThe {what} goes on. See: inference-service ps{options}", err=True)
            sys.exit(INTERRUPTED)
    if answer.is_error:
        raise CommandError(reason(answer))
    try:
        click.echo(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(reason(answer)) from None
