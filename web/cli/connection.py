"""The running service as commands reach it, and what they say where it refuses or is not there."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from web.cli.startup import load_settings

if TYPE_CHECKING:
    import httpx

#: A job's next event may be a while: comments keep the line alive meanwhile.
SILENCE_S = 60.0


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Let what the service refuses, or its absence, end the command with one line."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        import httpx

        try:
            command(**options)
        except httpx.HTTPStatusError as refused:
            click.echo(f"inference-service: {_reason(refused.response)}", err=True)
            sys.exit(1)
        except httpx.HTTPError as error:
            click.echo(f"inference-service: no service answers ({error})", err=True)
            sys.exit(1)

    return run


@contextlib.contextmanager
def connect() -> Iterator[httpx.Client]:
    """A client of the service of these settings, with a key where it has keys."""
    import httpx

    from web.access.keys import authorization
    from web.cli.up.command import address

    settings = load_settings()
    headers = authorization(settings)
    with httpx.Client(base_url=address(settings), headers=headers, timeout=SILENCE_S) as client:
        yield client


def _reason(answer: httpx.Response) -> str:
    import httpx

    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError, httpx.ResponseNotRead):
        return f"the service answered {answer.status_code}"
