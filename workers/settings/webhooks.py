"""Settings of webhooks: where they may go, and the secret that signs them."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """Telling others of a job's end."""

    webhook_secret: str | None = setting(
        "INFERENCE_WEBHOOK_SECRET", None, kinds.TEXT,
        "Secret that webhooks are signed with (Standard Webhooks, HMAC-SHA256): any text, or "
        "whsec_ and Base64.",
        unset="a job that names a webhook is refused",
        secret=True,
    )
    webhook_networks: tuple[str, ...] = setting(
        "INFERENCE_WEBHOOK_NETWORKS", (), kinds.networks(),
        "Networks to which webhooks may go in addition to the public Internet, such as "
        "10.0.0.0/8.",
        unset="public addresses only",
    )
