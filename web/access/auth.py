"""Who may use the service: API keys, and the orders, priority and rate they allow."""

from __future__ import annotations

import flask
from flask import Flask
from redis import Redis

from web.access import keys
from web.access.key_ring import KeyRing
from web.access.keys import Key
from workers import logs
from workers.contract.errors import Forbidden, RateLimited, Unauthorized
from workers.contract.job import Priority
from workers.lua.scripts import run
from workers.settings import Settings
from workers.store import connections

#: Whoever watches over the service has no key.
OPEN_PATHS = frozenset({"/health", "/health/ready"})
_MINUTE_US = 60_000_000


def install(app: Flask, settings: Settings, redis: Redis | None = None) -> None:
    """Let every request of this application show a key, once there are keys.

    Goes after whatever names the request: refusals carry its id too.

    Raises:
        web.access.keys.KeysError: the file of keys cannot be read.
    """
    ring = KeyRing(settings)
    client = redis or connections.client(settings)

    def check() -> None:
        request = flask.request
        # A browser asks by OPTIONS before it sends the key.
        if request.path in OPEN_PATHS or request.method == "OPTIONS":
            return
        valid = ring.keys()
        if valid is None:
            return
        key = _authenticate(valid)
        flask.g.key = key
        flask.g.key_is_alone = len(valid) == 1
        flask.g.log_fields.enter_context(logs.bound(key=key.name))
        _spend(client, key)

    app.before_request(check)


def owner() -> str | None:
    """Id of the key that the present request showed, which owns its jobs; None without keys."""
    key = _key()
    return None if key is None else key.id


def require_admin(what: str) -> None:
    """Refuse the present request where there are keys and its own is no admin's.

    Raises:
        Forbidden: `what`, such as "Loading a model", and where an admin key comes from.
    """
    key = _key()
    if key is None or key.admin:
        return
    raise Forbidden(
        f"{what} needs an admin key, which {key.name!r} is not. Make one with "
        "`inference-service keys add NAME --admin`, or put one into INFERENCE_ADMIN_KEYS.",
        details={"needs": "admin"},
    )


def sharing_key() -> str | None:
    """Id of the present request's key, where it has others to share with; else None."""
    return None if flask.g.get("key_is_alone", True) else owner()


def default_priority(settings: Settings) -> Priority:
    """The priority of a request that names none: as set, and not above what its key allows."""
    priority = Priority(settings.default_priority)
    key = _key()
    if key is None or key.highest_priority is None:
        return priority
    return min(priority, key.highest_priority)


def check_priority(priority: Priority) -> None:
    """Refuse a priority above the key's highest.

    Lowering it in silence instead would leave the caller to find out why it waits.

    Raises:
        Forbidden: with `priority` and `highest_priority` in its details.
    """
    key = _key()
    if key is None or key.highest_priority is None or priority <= key.highest_priority:
        return
    highest = key.highest_priority
    raise Forbidden(
        f"The key {key.name!r} allows priority {highest.value} ({highest.name.lower()}) at most.",
        details={"priority": priority.value, "highest_priority": highest.value},
    )


def _key() -> Key | None:
    key: Key | None = flask.g.get("key")
    return key


def _authenticate(valid: tuple[Key, ...]) -> Key:
    presented = _presented()
    if not presented:
        raise Unauthorized
    key = keys.find(valid, presented)
    if key is None:
        raise Unauthorized("This API key is not known, or was revoked.")
    return key


def _presented() -> str | None:
    """The key of the present request: a bearer's, else where clients of Anthropic's API put it."""
    bearer = flask.request.authorization
    if bearer is not None and bearer.type == "bearer":
        return bearer.token
    return flask.request.headers.get("x-api-key")


def _spend(redis: Redis, key: Key) -> None:
    """Count a request against its key's rate; the bucket holds one minute's requests."""
    allowed = key.requests_per_minute
    if allowed is None:
        return
    wait_ms = int(run(redis, "spend", key.id, allowed, _MINUTE_US // allowed))
    if wait_ms:
        raise RateLimited(
            f"The key {key.name!r} allows {allowed} requests per minute.",
            details={"requests_per_minute": allowed},
            retry_after_ms=wait_ms,
        )
