"""What the catalogue says of a model, as arguments of vLLM."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform

from presets import parallelism
from presets.model import ModelSpec
from presets.wrong_option import WrongOption
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.vllm import sources
from workers.engines.vllm.memory import kv_pool_bytes

#: What the processes that sample load from us.
_LOGITS_PROCESSORS = [
    "workers.engines.vllm.penalties:EarlierTokens",
    "workers.engines.vllm.held_rows:HeldRows",
]
#: Options of a model that are the worker's own.
_OURS = ("concurrency",)
#: Arguments that the rest of the catalogue, the settings or this engine decide.
_DECIDED = {
    "model": "sources.hf, or the model's directory",
    "quantization": "sources.hf.quantization",
    "max_num_seqs": "concurrency",
    "gpu_memory_utilization": "memory_fraction",
    "scheduling_policy": "nothing: the service's priorities are vLLM's",
    "logits_processors": "nothing: the service has its own",
    "disable_log_stats": "nothing: the service watches vLLM's steps by them",
}


def vllm_arguments(spec: ModelSpec, options: EngineOptions) -> AsyncEngineArgs:
    """What vLLM is started with.

    `spec.options` may name any argument of `vllm serve` that nothing else decides, with _ for -.

    Raises:
        ModelLoadFailed: it has no source, or an option that vLLM does not know or take.
    """
    chosen = {name: value for name, value in spec.options.items() if name not in _OURS}
    _check(spec, chosen)
    values: dict[str, Any] = {
        "model": sources.find(spec),
        "served_model_name": spec.id,
        "max_model_len": spec.context_length,
        **chosen,
        parallelism.TENSOR: _tensor_parts(spec, options),
        "max_num_seqs": options.concurrency,
        "scheduling_policy": "priority",
        "logits_processors": _LOGITS_PROCESSORS,
        "disable_log_stats": True,
    }
    if spec.hf is not None and spec.hf.quantization is not None:
        values["quantization"] = spec.hf.quantization
    if options.memory_fraction is not None:
        values["gpu_memory_utilization"] = options.memory_fraction
    try:
        return AsyncEngineArgs(**values)
    except (TypeError, ValueError) as error:
        raise ModelLoadFailed(f"vLLM refuses the options of {spec.id}: {error}") from error


def _tensor_parts(spec: ModelSpec, options: EngineOptions) -> int:
    try:
        return parallelism.of(spec.options).on(len(options.devices))
    except WrongOption as error:
        raise ModelLoadFailed(f"options.{error.option} of {spec.id}: {error}.") from error


def engine_config(arguments: AsyncEngineArgs, options: EngineOptions) -> VllmConfig:
    """What vLLM makes of its arguments. Without a GPU the size of the KV pool is ours to say: vLLM
    itself would take nine tenths of the machine's memory.
    """
    config = arguments.create_engine_config()
    cache = config.cache_config
    if (
        current_platform.is_cpu()
        and cache.kv_cache_memory_bytes is None
        and options.memory_fraction is None
    ):
        cache.kv_cache_memory_bytes = kv_pool_bytes(config, options)
    return config


def _check(spec: ModelSpec, chosen: dict[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for name in chosen:
        if name in _DECIDED:
            raise ModelLoadFailed(
                f"options.{name} of {spec.id} cannot be set; it comes from {_DECIDED[name]}."
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ModelLoadFailed(f"vLLM has no option {name}, which {spec.id} sets{hint}")
