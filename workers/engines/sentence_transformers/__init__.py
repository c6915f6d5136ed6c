"""The library sentence-transformers: models that embed or rank, as safetensors."""

from __future__ import annotations

from presets import installation
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import CrossEncoder, Encoder
from workers.engines.model_tokenizer import ModelTokenizer
from workers.engines.registry import register


def _encoder(options: EngineOptions) -> Encoder:
    try:
        from workers.engines.sentence_transformers.encoder import SentenceTransformersEncoder
    except ImportError as error:
        raise _not_usable(error) from error
    return SentenceTransformersEncoder(options)


def _cross_encoder(options: EngineOptions) -> CrossEncoder:
    try:
        from workers.engines.sentence_transformers.cross_encoder import (
            SentenceTransformersCrossEncoder,
        )
    except ImportError as error:
        raise _not_usable(error) from error
    return SentenceTransformersCrossEncoder(options)


def _tokenizer(spec: ModelSpec) -> ModelTokenizer:
    try:
        from workers.engines.sentence_transformers import tokenizer
    except ImportError as error:
        raise _not_usable(error) from error
    return tokenizer.load(spec)


def _not_usable(error: ImportError) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"sentence-transformers is not usable ({error}); "
        f"install it with: {installation.command('embeddings')}"
    )


register(
    "sentence-transformers",
    None,
    encoder=_encoder,
    cross_encoder=_cross_encoder,
    tokenizer=_tokenizer,
)
