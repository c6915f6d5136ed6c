"""How values of settings are shown, secrets masked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit


def show(value: Any) -> str:
    """A value as it would be written into its variable; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict):
        return json.dumps({name: list(roles) for name, roles in value.items()})
    return str(value)


def mask(value: Any) -> str:
    """What is shown of a secret: that it is set, and of an address its host and path."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join("***" for _ in value)
    parts = urlsplit(str(value))
    if not parts.scheme:
        return "***"
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{user.partition(':')[0]}:***@{host}" if at else host
    # redis-py also takes a password among the options after the question mark.
    return parts._replace(netloc=shown, query="***" if parts.query else "").geturl()
