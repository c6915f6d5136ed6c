"""Memory that vLLM takes: its KV pool on a CPU, and its part of the devices."""

from __future__ import annotations

from vllm.config import VllmConfig
from vllm.platforms import current_platform

from presets.memory.footprint import KV_TOKENS_PER_REQUEST
from workers.engines.base import EngineOptions


def kv_pool_bytes(config: VllmConfig, options: EngineOptions) -> int:
    """Room for as many tokens as were planned; without a plan 2,048 for each request that may run
    at once, and at least one whole context.
    """
    model, parallel, cache = config.model_config, config.parallel_config, config.cache_config
    heads, layers = model.get_num_kv_heads(parallel), model.get_num_layers(parallel)
    per_token = 2 * heads * layers * model.get_head_size() * model.dtype.itemsize
    wanted = max(model.max_model_len, KV_TOKENS_PER_REQUEST * options.concurrency)
    # A request wastes a part of its last block, and vLLM keeps a block for itself.
    blocks = (options.concurrency + 1) * cache.block_size
    return int(per_token * ((options.kv_tokens or wanted) + blocks))


def device_bytes(config: VllmConfig) -> int:
    """Bytes that vLLM has taken of its devices, which is its configured part; 0 on a CPU."""
    if current_platform.is_cpu():
        return 0
    part = config.cache_config.gpu_memory_utilization
    count = config.parallel_config.world_size
    return int(sum(part * current_platform.get_device_total_memory(i) for i in range(count)))
