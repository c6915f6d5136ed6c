"""llama.cpp through llama-cpp-python's low-level API: one decoding thread, many sequences."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from presets import installation
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import Engine, EngineOptions
from workers.engines.encoder import CrossEncoder, Encoder
from workers.engines.model_tokenizer import ModelTokenizer
from workers.engines.registry import register
from workers.engines.tuning import Measured


def _engine(options: EngineOptions) -> Engine:
    try:
        from workers.engines.llamacpp.engine import LlamaCppEngine
    except ImportError as error:
        raise _not_usable(error) from error
    return LlamaCppEngine(options)


def _encoder(options: EngineOptions) -> Encoder:
    try:
        from workers.engines.llamacpp.encoder import LlamaCppEncoder
    except ImportError as error:
        raise _not_usable(error) from error
    return LlamaCppEncoder(options)


def _cross_encoder(options: EngineOptions) -> CrossEncoder:
    try:
        from workers.engines.llamacpp.cross_encoder import LlamaCppCrossEncoder
    except ImportError as error:
        raise _not_usable(error) from error
    return LlamaCppCrossEncoder(options)


def _tokenizer(spec: ModelSpec) -> ModelTokenizer:
    try:
        from workers.engines.llamacpp import tokenizer
    except ImportError as error:
        raise _not_usable(error) from error
    return tokenizer.load(spec)


def _import_ahead() -> None:
    importlib.import_module("workers.engines.llamacpp.engine")


def _measure(*args: Any, **options: Any) -> Iterator[Measured]:
    try:
        from workers.engines.llamacpp.formats import measure
    except ImportError as error:
        raise _not_usable(error) from error
    return measure(*args, **options)


def _not_usable(error: ImportError) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"llama-cpp-python is not usable ({error}); "
        f"install it with: {installation.command('llamacpp')}"
    )


register(
    "llamacpp",
    _engine,
    encoder=_encoder,
    cross_encoder=_cross_encoder,
    tokenizer=_tokenizer,
    tuner=_measure,
    import_ahead=_import_ahead,
)
