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
    """What is shown of a secret: that it is set, and how many there are."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join("***" for _ in value)
    return "***"


def mask_address(value: Any) -> str:
    """What is shown of an address: all but its password, and what stands in its query."""
    if value is None:
        return ""
    parts = urlsplit(str(value))
    credentials, at, host = parts.netloc.rpartition("@")
    shown = host
    if at:
        user, colon, _ = credentials.partition(":")
        shown = f"{user}:***@{host}" if colon else f"***@{host}"
    # redis-py also takes a password among the options after the question mark.
    query = "***" if parts.query else ""
    fragment = "***" if parts.fragment else ""
    return parts._replace(netloc=shown, query=query, fragment=fragment).geturl()
