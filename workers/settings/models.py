"""Settings of models: where they are, which run, on what, and who gets routed to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from presets import backends, drafts
from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Files, engines, loading and routing."""

    models_dir: Path | None = setting(
        "INFERENCE_MODELS_DIR", None, kinds.DIRECTORY,
        "Directory of model files: `<models dir>/<id>/*.gguf` is model `<id>`.",
        unset="only the built-in smollm2-135m",
    )
    catalogue_dir: Path | None = setting(
        "INFERENCE_CATALOGUE_DIR", None, kinds.DIRECTORY,
        "Directory of your own models (`models/*.yaml`) and presets (`presets.yaml`). They "
        "replace shipped ones of the same id.",
    )
    config: str | None = setting(
        "INFERENCE_CONFIG", None, kinds.NAME,
        "Preset whose models run, such as D3. INFERENCE_PRELOAD_MODELS wins over it.",
    )
    preload_models: tuple[str, ...] | None = setting(
        "INFERENCE_PRELOAD_MODELS", None, kinds.names(),
        "Models that `up` starts a worker for.",
        unset="the smallest model found, or smollm2-135m where there is none",
    )
    model_roles: Mapping[str, tuple[str, ...]] | None = setting(
        "INFERENCE_MODEL_ROLES", None, kinds.role_table(),
        "Roles of models, in place of those in the catalogue. The first one counts most. "
        "`/v1/models` shows them.",
    )
    backend: str = setting(
        "INFERENCE_BACKEND", backends.DEFAULT, kinds.choice(*backends.writing()),
        "Engine of models that name none: llama.cpp for GGUF files, vLLM for safetensors, "
        "scripted for tests with a fixed text.",
    )
    gpu_layers: int = setting(
        "INFERENCE_GPU_LAYERS", -1, kinds.integer(-1, 10_000),
        "Layers that the llama.cpp engine puts on the GPU. -1: all of them.",
    )
    engine_threads: int | None = setting(
        "INFERENCE_ENGINE_THREADS", None, kinds.integer(1, 1024),
        "CPU threads that one worker decodes with.",
        unset="one for each core the process may use",
    )
    max_concurrent_per_model: int | None = setting(
        "INFERENCE_MAX_CONCURRENT_PER_MODEL", None, kinds.integer(1, 512),
        "Requests that one worker answers at once.",
        unset="1 with 16 GB of RAM or less, else one for each core, at most 8, as the RAM beyond "
        "16 GB has room for their tokens; `up` says how many",
    )
    prompt_cache_mb: int | None = setting(
        "INFERENCE_PROMPT_CACHE_MB", None, kinds.integer(0, 100_000_000),
        "Megabytes of RAM in which one worker keeps the prompts and answers that it has read, so "
        "that what begins alike is not read again. A model that does not fit with it is not "
        "loaded. 0: nothing is kept.",
        unset="a quarter of what the models leave, at most 1024 for each",
    )
    drafts: str = setting(
        "INFERENCE_DRAFTS", drafts.LOOKUP, kinds.choice(*drafts.KINDS),
        "Whether llama.cpp guesses the next tokens of answers that repeat their prompt, themselves "
        "or what their caller predicts, and decodes them together where that is faster: `lookup`, "
        "or `off`. Answers are the same. `drafts` in a model's options wins over it.",
    )
    prompt_cache_disk_mb: int = setting(
        "INFERENCE_PROMPT_CACHE_DISK_MB", 0, kinds.integer(0, 100_000_000),
        "Megabytes on disk, in the data directory, in which all models together keep prompts and "
        "answers over a worker's end: a conversation then goes on after an unload, a restart or a "
        "crash without being read again. 0: none are kept.",
    )
    wedged_s: float = setting(
        "INFERENCE_WEDGED_S", 60.0, kinds.number(1, 3600),
        "Seconds without a decoding step, while there is work, after which a worker is ended and "
        "started again. Its steps go on.",
    )
    standby: bool = setting(
        "INFERENCE_STANDBY", True, kinds.BOOLEAN,
        "`up` keeps one process ready, with its imports done and no model, which becomes the next "
        "model worker that dies: new text then comes a second or two earlier. It takes about "
        "100 MB.",
    )
    memory_limit_mb: int | None = setting(
        "INFERENCE_MEMORY_LIMIT_MB", None, kinds.integer(1, 100_000_000),
        "Megabytes that all loaded models together may take. A model that would exceed it is not "
        "loaded.",
        unset="what the machine has",
    )
    load_on_demand: bool = setting(
        "INFERENCE_LOAD_ON_DEMAND", False, kinds.BOOLEAN,
        "Load a model when a request asks for it. While false the request is refused.",
    )
    autoscaled: bool = setting(
        "INFERENCE_AUTOSCALED", False, kinds.BOOLEAN,
        "Something outside, such as KEDA, starts workers where requests wait: they wait for a "
        "model that has no process, too. Needs INFERENCE_LOAD_ON_DEMAND=true.",
    )
    swap: bool = setting(
        "INFERENCE_SWAP", False, kinds.BOOLEAN,
        "Where memory is short, unload the idle model that was used longest ago for one that is "
        "loaded on demand. Needs INFERENCE_LOAD_ON_DEMAND=true.",
    )
    swap_max_wait_s: float = setting(
        "INFERENCE_SWAP_MAX_WAIT_S", 60.0, kinds.number(0, 86_400),
        "The most seconds that a request waits until busy models make room for its own. Less than "
        "INFERENCE_REQUEST_TIMEOUT.",
    )
    idle_unload_s: float = setting(
        "INFERENCE_IDLE_UNLOAD_S", 0.0, kinds.number(0, 30 * 86_400),
        "Seconds without a request after which a model is unloaded. 0: never.",
    )
    auto_route_enabled: bool = setting(
        "INFERENCE_AUTO_ROUTE_ENABLED", False, kinds.BOOLEAN,
        "Choose a model for a request that names `auto`, a role, or no model. While false a "
        "request must name its model.",
    )
    auto_route_strategy: str = setting(
        "INFERENCE_AUTO_ROUTE_STRATEGY", "least_busy",
        kinds.choice("least_busy", "round_robin", "capability_match"),
        "How one of several loaded models is chosen: by the fewest tokens queued and running, "
        "each in turn, or by free context and order of roles.",
    )
    auto_route_fallback: bool = setting(
        "INFERENCE_AUTO_ROUTE_FALLBACK", True, kinds.BOOLEAN,
        "Take another model that fits where the first one of a role is gone. While false its "
        "request is refused.",
    )
