"""The library sentence-transformers: embedding models as safetensors, on PyTorch."""

from __future__ import annotations

from presets import installation
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import Encoder
from workers.engines.registry import register


def _encoder(options: EngineOptions) -> Encoder:
    try:
        from workers.engines.sentence_transformers.encoder import SentenceTransformersEncoder
    except ImportError as error:
        raise ModelLoadFailed(
            f"sentence-transformers is not usable ({error}); "
            f"install it with: {installation.command('embeddings')}"
        ) from error
    return SentenceTransformersEncoder(options)


register("sentence-transformers", None, encoder=_encoder)
