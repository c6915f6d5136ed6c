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
#: What a refusal for want of a key does not say: where a command takes its own from.
_HINTS = {
    "UNAUTHORIZED": " Commands send the first key of INFERENCE_API_KEYS or INFERENCE_ADMIN_KEYS: "
    "set one for this command.",
    "FORBIDDEN": " This command sends the first key of INFERENCE_ADMIN_KEYS where there is one.",
}


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Let what the service refuses, or its absence, end the command with one line."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        import httpx

        try:
            command(**options)
        except httpx.HTTPStatusError as refused:
            click.echo(f"inference-service: {reason(refused.response)}", err=True)
            sys.exit(1)
        except httpx.HTTPError as error:
            click.echo(f"inference-service: no service answers ({error})", err=True)
            sys.exit(1)

    return run


@contextlib.contextmanager
def connect(*, admin: bool = False) -> Iterator[httpx.Client]:
    """A client of the service of these settings, with a key where it has keys.

    `admin` where only an admin key will do.
    """
    import httpx

    from web.access.keys import authorization
    from web.cli.up.command import address

    settings = load_settings()
    headers = authorization(settings, admin=admin)
    with httpx.Client(base_url=address(settings), headers=headers, timeout=SILENCE_S) as client:
        yield client


def reason(answer: httpx.Response) -> str:
    """Why the service refused, and what to do where that is for want of a key."""
    import httpx

    try:
        error = answer.json()["error"]
        return f"{error['message']}{_HINTS.get(error['code'], '')}"
    except (ValueError, KeyError, TypeError, httpx.ResponseNotRead):
        return f"the service answered {answer.status_code}"
