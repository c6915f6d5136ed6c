"""How commands reach the service, and what they print when it refuses or does not answer."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from web.cli.problem import CommandError
from web.cli.startup import load_settings

if TYPE_CHECKING:
    import httpx

#: Seconds without a byte after which the service counts as lost: comments come more often.
SILENCE_S = 60.0
#: Where the options of a command are kept until a request needs them.
_URL, _API_KEY = "web.cli.connection.url", "web.cli.connection.api_key"
#: What a refusal does not say: where commands take their key from.
_HINTS = {
    "UNAUTHORIZED": " Give a key with --api-key or INFERENCE_API_KEY. On the service's own machine "
    "commands take the first key of INFERENCE_API_KEYS or INFERENCE_ADMIN_KEYS.",
    "FORBIDDEN": " Give an admin key with --api-key or INFERENCE_API_KEY. On the service's own "
    "machine this command takes the first key of INFERENCE_ADMIN_KEYS.",
}


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """The service that a command asks."""

    #: Without a slash at the end, and without `/v1`.
    url: str
    #: Named by --url or INFERENCE_URL: its models and files are not those of this machine.
    is_elsewhere: bool
    #: The options that make another command ask the same service, with a space before.
    options: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def service_command(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --url and --api-key, and end it with one line if the service fails it."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        import httpx

        try:
            command(**options)
        except httpx.HTTPStatusError as refused:
            raise CommandError(reason(refused.response)) from None
        except httpx.HTTPError as error:
            raise CommandError(failure(error)) from None

    return service_options(run)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --url and --api-key."""
    with_key = click.option(
        "--api-key",
        metavar="KEY",
        expose_value=False,
        callback=_keep(_API_KEY),
        help="The API key to send. Default: INFERENCE_API_KEY.",
    )
    with_url = click.option(
        "--url",
        metavar="URL",
        expose_value=False,
        callback=_keep(_URL),
        help="The address of a service elsewhere. Default: INFERENCE_URL, or this machine's.",
    )
    return with_url(with_key(command))


def _keep(name: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.meta[name] = _checked_url(value) if name == _URL else _checked_key(value)

    return keep


def _checked_url(url: str) -> str:
    """An address as it is asked: people give the one that they give to OpenAI clients, too."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise click.BadParameter(f"{url!r} is no address such as http://192.168.1.5:8085.")
    return url.rstrip("/").removesuffix("/v1")


def _checked_key(key: str) -> str:
    if not (key.isascii() and key.isprintable()) or " " in key or not key:
        raise click.BadParameter("a key is printable ASCII without spaces.")
    return key


def service_address(*, admin: bool = False) -> ServiceAddress:
    """The service that the current command asks, with the key that it is asked with.

    A key of this machine's own service is never sent elsewhere. `admin` where only an admin key
    will do.
    """
    from web.access.keys import authorization
    from web.cli.up.readiness import address

    settings = load_settings()
    context = click.get_current_context(silent=True)
    given = context.meta if context is not None else {}
    url = given.get(_URL) or (_checked_url(settings.url) if settings.url else None)
    key = given.get(_API_KEY) or settings.api_key
    if key is not None:
        headers = {"Authorization": f"Bearer {key}"}
    else:
        headers = authorization(settings, admin=admin) if url is None else {}
    options = f" --url {given[_URL]}" if _URL in given else ""
    return ServiceAddress(url or address(settings), url is not None, options, headers)


@contextlib.contextmanager
def connect(*, admin: bool = False, timeout_s: float = SILENCE_S) -> Iterator[httpx.Client]:
    """A client of the service; no proxy stands before this machine's own.

    `admin` where only an admin key will do.
    """
    import httpx

    service = service_address(admin=admin)
    with httpx.Client(
        base_url=service.url,
        headers=service.headers,
        timeout=timeout_s,
        trust_env=service.is_elsewhere,
    ) as client:
        yield client


def request(method: str, path: str, *, admin: bool = False, **options: Any) -> Any:
    """The JSON with which the service answers one request; None where it answers nothing.

    `options` are those of `httpx.Client.request`.

    Raises:
        httpx.HTTPStatusError: the service refuses.
        httpx.HTTPError: no service answers.
        CommandError: something else answers.
    """
    with connect(admin=admin) as client:
        answer = client.request(method, path, **options)
        answer.raise_for_status()
    try:
        return answer.json() if answer.content else None
    except ValueError:
        raise CommandError(
            f"{client.base_url} answers without JSON. Is that an inference-service?"
        ) from None


def failure(error: httpx.HTTPError) -> str:
    """Why the service could not be asked, with its address and what to do."""
    import httpx

    service = service_address()
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        todo = (
            "Check the address and that the service runs."
            if service.is_elsewhere
            else "Start it with `inference-service up`, or name a service elsewhere with --url."
        )
        cause = re.sub(r"\[Errno -?\d+\] ", "", str(error))
        return f"No service answers at {service.url} ({cause}). {todo}"
    if isinstance(error, httpx.TimeoutException):
        return f"The service at {service.url} did not answer in time. See: inference-service status"
    return f"The connection to {service.url} broke: {error}"


def reason(answer: httpx.Response) -> str:
    """Why the service refused, and what to do where that is for want of a key."""
    import httpx

    try:
        error = answer.json()["error"]
        return f"{error['message']}{_HINTS.get(error['code'], '')}"
    except (ValueError, KeyError, TypeError, httpx.ResponseNotRead):
        return f"{answer.url} answered with status {answer.status_code}."
