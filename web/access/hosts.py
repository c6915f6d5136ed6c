"""Names under which the service may be asked for: the header Host.

A page's owner may let its name point at 127.0.0.1 after the page was loaded (DNS rebinding). The
browser then takes our answers for the page's own, and Origin agrees with Host. Only the name gives
it away. An address cannot be rebound, so it always passes. With keys a rebound page has none, but
its tries would cost time and fill logs, so the check holds there too.
"""

from __future__ import annotations

import ipaddress

import flask
from flask import Flask

from web.access.auth import OPEN_PATHS
from web.schemas.refusals import excerpt
from workers.contract.errors import Forbidden
from workers.settings import Settings


def install(app: Flask, settings: Settings) -> None:
    """Refuse requests for names that are not ours; before any other check."""
    allowed = allowed_names(settings)

    def check() -> None:
        request = flask.request
        host = request.headers.get("Host", "")
        if request.path not in OPEN_PATHS and not is_allowed(host, allowed):
            raise Forbidden(refusal(host), details={"host": excerpt(host)})

    app.before_request(check)


def allowed_names(settings: Settings) -> frozenset[str]:
    """The names of INFERENCE_ALLOWED_HOSTS, and the one that the service listens on."""
    return frozenset({*settings.allowed_hosts, (settings.host or "").lower()} - {""})


def is_allowed(host: str, allowed: frozenset[str]) -> bool:
    """Whether a Host header names an address, loopback, or one of the `allowed` names.

    A request without the header passes: no browser sends one.
    """
    if not host or "*" in allowed:
        return True
    name = _name(host)
    if _is_address(name):
        return True
    name = name.removesuffix(".")
    # RFC 6761: names under localhost are loopback's too, and nobody can register one.
    return name == "localhost" or name.endswith(".localhost") or name in allowed


def refusal(host: str) -> str:
    """The message for a caller who is refused."""
    return (
        f"This service is not known as {excerpt(host)!r}. Ask for it by its address or as "
        "localhost, or list the name in INFERENCE_ALLOWED_HOSTS."
    )


def _name(host: str) -> str:
    """The name without its port, in lower case; an IPv6 address without its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        address, _, port = host[1:].partition("]")
        return host if port and not port.startswith(":") else address
    return host.rpartition(":")[0] if ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
