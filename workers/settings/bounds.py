"""Settings of bounds: what one request may cost before anything looks at it closely.

`docs/BOUNDS.md` has all bounds on one page, those that are constants too.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class BoundsSettings:
    """Bytes, items, seconds and connections of requests."""

    allowed_hosts: tuple[str, ...] = setting(
        "INFERENCE_ALLOWED_HOSTS", (), kinds.host_names(),
        "Names under which the service may be asked for, in the header Host: those of a proxy in "
        "front, of this machine in its network, of a container. Addresses and the names of "
        "loopback always pass; `*` lets every name pass. A page of a name that its owner lets "
        "point at this machine (DNS rebinding) is refused by this.",
        unset="localhost and the name in INFERENCE_HOST",
    )
    head_timeout_s: float = setting(
        "INFERENCE_HEAD_TIMEOUT_S", 10.0, kinds.number(0.1, 600),
        "Seconds a client has for a request's line and headers.",
    )
    body_timeout_s: float = setting(
        "INFERENCE_BODY_TIMEOUT_S", 30.0, kinds.number(0.1, 3600),
        "Seconds a client has for a request's body after its headers.",
    )
    send_timeout_s: float = setting(
        "INFERENCE_SEND_TIMEOUT_S", 20.0, kinds.number(0.1, 3600),
        "Seconds after which a client that takes nothing of its answer is left; whoever reads on, "
        "however slowly, is not.",
    )
    max_incomplete: int = setting(
        "INFERENCE_MAX_INCOMPLETE_CONNECTIONS", 512, kinds.integer(1, 100_000),
        "Connections whose request is not complete yet, over all callers; beyond it the oldest is "
        "closed. As many may be idle between two requests.",
    )
    max_body_mb: int = setting(
        "INFERENCE_MAX_BODY_MB", 16, kinds.integer(1, 1024),
        "Megabytes of one request's body, or of one WebSocket message.",
    )
    max_bodies_mb: int = setting(
        "INFERENCE_MAX_BODIES_MB", 128, kinds.integer(1, 1_048_576),
        "Megabytes of all bodies together that have arrived and are not worked on yet; at least "
        "INFERENCE_MAX_BODY_MB.",
    )
    max_messages: int = setting(
        "INFERENCE_MAX_MESSAGES", 4096, kinds.integer(1, 1_000_000),
        "Messages of one conversation; each costs the front end and the worker time, empty or not.",
    )
    max_sockets: int = setting(
        "INFERENCE_MAX_SOCKETS", 128, kinds.integer(1, 4096),
        "WebSockets that may be open at once. They have threads of their own; only a socket that "
        "has asked for something takes one of INFERENCE_WEB_THREADS' places.",
    )
    max_key_share: float = setting(
        "INFERENCE_MAX_KEY_SHARE", 0.5, kinds.number(0.01, 1),
        "The part of all places, and of all WebSockets, that one API key may hold at once; the "
        "rest is left for other keys. Without keys one caller may hold all.",
    )
    max_stored_mb_per_key: int | None = setting(
        "INFERENCE_MAX_STORED_MB_PER_KEY", None, kinds.integer(1, 1_048_576),
        "Megabytes that the jobs of one API key may take in Redis. Over it the key's own oldest "
        "results are deleted; where that is not enough its new jobs are refused.",
        unset="INFERENCE_MAX_KEY_SHARE of Redis' memory; no bound where Redis has none",
    )
