"""The settings, one line each: variable, default, kind, meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.settings import kinds
from workers.settings.kinds import Kind


@dataclass(frozen=True, slots=True)
class Variable:
    """What `setting` notes of one field, for those who read or print it."""

    name: str
    kind: Kind[Any]
    meaning: str
    secret: bool = False


def setting(name: str, default: Any, kind: Kind[Any], meaning: str, *, secret: bool = False) -> Any:
    """A field of `Settings` that is read from the environment variable `name`."""
    return field(
        default=default, metadata={"variable": Variable(name, kind, meaning, secret=secret)}
    )


def default_data_dir() -> Path:
    """Where state lives when nothing is said: under the user's home."""
    return Path("~/.local/share/inference-service").expanduser()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything an operator can set, validated. None means: not set."""

    host: str | None = setting(
        "INFERENCE_HOST", None, kinds.TEXT,
        "Address the front end listens on. Unset: 127.0.0.1, or 0.0.0.0 once API keys exist.",
    )  # fmt: skip
    port: int = setting(
        "INFERENCE_PORT", 8085, kinds.integer(1, 65535), "Port the front end listens on."
    )
    log_level: str = setting(
        "INFERENCE_LOG_LEVEL", "INFO", kinds.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "The least severe log lines that are shown.",
    )  # fmt: skip
    log_format: str = setting(
        "INFERENCE_LOG_FORMAT", "console", kinds.choice("console", "json"),
        "How log lines are written.",
    )  # fmt: skip
    data_dir: Path = setting(
        "INFERENCE_DATA_DIR", default_data_dir(), kinds.PATH,
        "All state: the embedded server's files, caches, logs.",
    )  # fmt: skip
    models_dir: Path | None = setting(
        "INFERENCE_MODELS_DIR", None, kinds.PATH,
        "Where model files are: <models dir>/<id>/*.gguf is model <id>.",
    )  # fmt: skip
    preload_models: tuple[str, ...] | None = setting(
        "INFERENCE_PRELOAD_MODELS", None, kinds.names(),
        "Models that `up` starts a worker for. Unset: the smallest model found, "
        "or smollm2-135m where there is none.",
    )  # fmt: skip
    redis_url: str | None = setting(
        "INFERENCE_REDIS_URL", None, kinds.url("redis", "rediss", "unix"),
        "A Redis or Valkey to use. Unset: `up` starts an embedded Valkey in the data directory.",
        secret=True,
    )  # fmt: skip
    backend: str = setting(
        "INFERENCE_BACKEND", "llamacpp", kinds.choice("llamacpp", "scripted"),
        "The engine of models that name none themselves.",
    )  # fmt: skip
    gpu_layers: int = setting(
        "INFERENCE_GPU_LAYERS", -1, kinds.integer(-1, 10_000),
        "Layers a llama.cpp engine puts on the GPU; -1: all of them.",
    )  # fmt: skip
    engine_threads: int | None = setting(
        "INFERENCE_ENGINE_THREADS", None, kinds.integer(1, 1024),
        "CPU threads that one worker decodes with. Unset: one for each core.",
    )  # fmt: skip
    max_concurrent_per_model: int = setting(
        "INFERENCE_MAX_CONCURRENT_PER_MODEL", 1, kinds.integer(1, 512),
        "Requests that one worker answers at once.",
    )  # fmt: skip
    request_timeout_s: float = setting(
        "INFERENCE_REQUEST_TIMEOUT", 120.0, kinds.number(3, 86_400),
        "Seconds until a plain answer or a stream's first token must have come.",
    )  # fmt: skip
    grace_s: float = setting(
        "INFERENCE_GRACE_S", 30.0, kinds.number(0, 3600),
        "Seconds a stopping worker gives the answers it is in the middle of.",
    )  # fmt: skip
    web_threads: int = setting(
        "INFERENCE_WEB_THREADS", 256, kinds.integer(8, 4096),
        "Threads of the front end; every open stream holds one.",
    )  # fmt: skip
    flower_port: int = setting(
        "INFERENCE_FLOWER_PORT", 5555, kinds.integer(1, 65535),
        "Port on which `up --flower` shows the queues, on loopback.",
    )  # fmt: skip
    #: Field name -> where its value came from: `default`, `environment` or `.env`.
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def effective_host(self) -> str:
        """The address to listen on."""
        return self.host or "127.0.0.1"
