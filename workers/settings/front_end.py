"""Settings of the front end: its address, who may use it, its limits."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class FrontEndSettings:
    """Where the service listens, and to whom."""

    host: str | None = setting(
        "INFERENCE_HOST", None, kinds.HOST,
        "Address that the front end listens on. A value that is set is always used. There is a "
        "warning where it is open to the network and no API keys exist.",
        unset="127.0.0.1 without API keys, 0.0.0.0 with",
    )
    port: int = setting(
        "INFERENCE_PORT", 8085, kinds.integer(1, 65535), "Port the front end listens on."
    )
    api_keys: tuple[str, ...] = setting(
        "INFERENCE_API_KEYS", (), kinds.api_keys(),
        "Keys that callers may send as `Authorization: Bearer <key>`, in addition to those of "
        "`inference-service keys`. Once a key exists, every path except `/health` and "
        "`/health/ready` needs one. The commands that ask the service send the first.",
        secret=True,
    )
    admin_keys: tuple[str, ...] = setting(
        "INFERENCE_ADMIN_KEYS", (), kinds.api_keys(),
        "Keys like those of INFERENCE_API_KEYS that may also load and unload models, drain "
        "workers, clear caches and look after dead letters. The commands for that send the first.",
        secret=True,
    )
    cors_origins: tuple[str, ...] = setting(
        "INFERENCE_CORS_ORIGINS", (), kinds.origins(),
        "Web pages of these origins may use the service from a browser, over HTTP and WebSocket.",
        unset="only pages of the service's own origin",
    )
    request_timeout_s: float = setting(
        "INFERENCE_REQUEST_TIMEOUT", 120.0, kinds.number(3, 86_400),
        "Seconds after acceptance by which a plain answer or a stream's first token is due. Where "
        "it is not there 2 s before that, the request ends with REQUEST_TIMEOUT. A running stream "
        "ends when no token came for this long.",
    )
    web_threads: int = setting(
        "INFERENCE_WEB_THREADS", 256, kinds.integer(16, 4096),
        "Threads of the front end. Every open answer holds one. 8 of them stay free for other "
        "requests.",
    )
    flower_port: int = setting(
        "INFERENCE_FLOWER_PORT", 5555, kinds.integer(1, 65535),
        "Port on which `up --flower` shows the queues.",
    )
    flower_host: str = setting(
        "INFERENCE_FLOWER_HOST", "127.0.0.1", kinds.HOST,
        "Address that Flower listens on. One that others reach needs INFERENCE_FLOWER_AUTH.",
    )
    flower_auth: str | None = setting(
        "INFERENCE_FLOWER_AUTH", None, kinds.CREDENTIALS,
        "Name and password that Flower asks for (basic auth).",
        secret=True,
    )
