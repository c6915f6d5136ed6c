"""Settings of models: where they are, which run, on what, and who gets routed to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from presets import backends
from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Files, engines, loading and routing."""

    models_dir: Path | None = setting(
        "INFERENCE_MODELS_DIR", None, kinds.DIRECTORY,
        "Where model files are: `<models dir>/<id>/*.gguf` is model `<id>`.",
        unset="only the built-in smollm2-135m",
    )
    catalogue_dir: Path | None = setting(
        "INFERENCE_CATALOGUE_DIR", None, kinds.DIRECTORY,
        "A directory with models (`models/*.yaml`) and presets (`presets.yaml`) of your own, laid "
        "over those that are shipped.",
    )
    config: str | None = setting(
        "INFERENCE_CONFIG", None, kinds.NAME,
        "The preset whose models run, such as D3; INFERENCE_PRELOAD_MODELS is obeyed over it.",
    )
    preload_models: tuple[str, ...] | None = setting(
        "INFERENCE_PRELOAD_MODELS", None, kinds.names(),
        "Models that `up` starts a worker for.",
        unset="the smallest model found, or smollm2-135m where there is none",
    )
    model_roles: Mapping[str, tuple[str, ...]] | None = setting(
        "INFERENCE_MODEL_ROLES", None, kinds.role_table(),
        "Roles of models, instead of those the catalogue gives them; the first one counts most. "
        "`/v1/models` shows them.",
    )
    backend: str = setting(
        "INFERENCE_BACKEND", backends.DEFAULT, kinds.choice(*backends.names()),
        "The engine of models that name none themselves: llama.cpp for GGUF files, vLLM for "
        "safetensors; scripted answers with a fixed text, for tests.",
    )
    gpu_layers: int = setting(
        "INFERENCE_GPU_LAYERS", -1, kinds.integer(-1, 10_000),
        "Layers a llama.cpp engine puts on the GPU; -1: all of them.",
    )
    engine_threads: int | None = setting(
        "INFERENCE_ENGINE_THREADS", None, kinds.integer(1, 1024),
        "CPU threads that one worker decodes with.",
        unset="one for each core the process may use",
    )
    max_concurrent_per_model: int = setting(
        "INFERENCE_MAX_CONCURRENT_PER_MODEL", 1, kinds.integer(1, 512),
        "Requests that one worker answers at once.",
    )
    wedged_s: float = setting(
        "INFERENCE_WEDGED_S", 60.0, kinds.number(1, 3600),
        "Seconds without a decoding step, while there is work, after which a worker is ended and "
        "started again; what it ran goes on.",
    )
    memory_limit_mb: int | None = setting(
        "INFERENCE_MEMORY_LIMIT_MB", None, kinds.integer(1, 100_000_000),
        "Megabytes that all loaded models together may take; a model that would take more is not "
        "loaded.",
        unset="what the machine has",
    )
    load_on_demand: bool = setting(
        "INFERENCE_LOAD_ON_DEMAND", False, kinds.BOOLEAN,
        "A request for a model that is not loaded loads it, instead of being refused.",
    )
    swap: bool = setting(
        "INFERENCE_SWAP", False, kinds.BOOLEAN,
        "Where memory is short, a model loaded on demand takes the place of the idle one that "
        "was used longest ago. Needs INFERENCE_LOAD_ON_DEMAND=true.",
    )
    swap_max_wait_s: float = setting(
        "INFERENCE_SWAP_MAX_WAIT_S", 60.0, kinds.number(0, 86_400),
        "Seconds a request waits at most until busy models make room for its own; less than "
        "INFERENCE_REQUEST_TIMEOUT.",
    )
    idle_unload_s: float = setting(
        "INFERENCE_IDLE_UNLOAD_S", 0.0, kinds.number(0, 30 * 86_400),
        "Seconds without a request after which a model is unloaded; 0: never.",
    )
    auto_route_enabled: bool = setting(
        "INFERENCE_AUTO_ROUTE_ENABLED", False, kinds.BOOLEAN,
        "`auto`, a role's name or no model at all in a request means: a model that fits. While "
        "false, a request must name its model.",
    )
    auto_route_strategy: str = setting(
        "INFERENCE_AUTO_ROUTE_STRATEGY", "least_busy",
        kinds.choice("least_busy", "round_robin", "capability_match"),
        "How one of several loaded models is chosen: the one with the fewest tokens queued and "
        "running, each in turn, or by room in its context and order of roles.",
    )
    auto_route_fallback: bool = setting(
        "INFERENCE_AUTO_ROUTE_FALLBACK", True, kinds.BOOLEAN,
        "Where the model that a role comes to first is gone, take another that fits; while false, "
        "its request is refused.",
    )
