"""Settings of the command line where it uses a service elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Which service the commands ask, and with which key."""

    url: str | None = setting(
        "INFERENCE_URL", None, kinds.url("http", "https"),
        "Address of the service that the commands ask, as `--url`. The commands that start "
        "processes do not use it.",
        unset="the service of these settings, on this machine",
    )
    api_key: str | None = setting(
        "INFERENCE_API_KEY", None, kinds.api_key(),
        "API key that the commands send, as `--api-key`.",
        secret=True,
        unset="for a service on this machine a key of INFERENCE_API_KEYS or INFERENCE_ADMIN_KEYS",
    )
