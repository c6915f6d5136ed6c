"""How commands reach the service, and what they print when it refuses or does not answer."""

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

#: Seconds without a byte after which the service counts as lost: comments come more often.
SILENCE_S = 60.0
#: What a refusal does not say: where commands take their key from.
_HINTS = {
    "UNAUTHORIZED": " Commands send the first key of INFERENCE_API_KEYS or INFERENCE_ADMIN_KEYS: "
    "set one for this command.",
    "FORBIDDEN": " This command sends the first key of INFERENCE_ADMIN_KEYS where there is one.",
}


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """End the command with one line if the service refuses or does not answer."""

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


def request(method: str, path: str, *, admin: bool = False, **options: Any) -> Any:
    """The JSON with which the service answers one request; None where it answers nothing.

    `options` are those of `httpx.Client.request`.

    Raises:
        httpx.HTTPStatusError: the service refuses.
        httpx.HTTPError: no service answers.
    """
    with connect(admin=admin) as client:
        answer = client.request(method, path, **options)
        answer.raise_for_status()
    return answer.json() if answer.content else None


def reason(answer: httpx.Response) -> str:
    """Why the service refused, and what to do where that is for want of a key."""
    import httpx

    try:
        error = answer.json()["error"]
        return f"{error['message']}{_HINTS.get(error['code'], '')}"
    except (ValueError, KeyError, TypeError, httpx.ResponseNotRead):
        return f"the service answered {answer.status_code}"
