"""What a GGUF file is for, by its metadata: a model that talks, embeds or ranks, or something else.

Sources: `general.type` as llama.cpp's conversion writes it (gguf-py, `GGUFType`); the architectures
without a causal decoder in llama.cpp's list (llama-arch.cpp), for which its `create_memory` makes
no KV cache; `pooling_type` as llama.cpp's `llama_pooling_type`, where 0 is none and absence leaves
a decoder as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from presets.kind import Kind
from presets.weights.gguf import Value

_BY_TYPE = {
    "adapter": "an adapter (LoRA), which is no model of its own",
    "mmproj": "a projector of images or sound, which is no model of its own",
    "imatrix": "an importance matrix, which is no model",
}
_BY_ARCHITECTURE = {
    "clip": _BY_TYPE["mmproj"],
    "wavtokenizer-dec": "a decoder of sound, which answers no chat",
}
#: They read a text whole, keep nothing of it and write none.
_ENCODERS = frozenset(
    (
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "llama-embed",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "t5encoder",
    )
)
_RANKING = 4


def reason_against_serving(metadata: Mapping[str, Value]) -> str | None:
    """What the file is instead of a model that is served; None: it is one, or says too little.

    A file without a chat template can chat: it gets the engine's plain one.
    """
    kind = metadata.get("general.type")
    architecture = metadata.get("general.architecture")
    if isinstance(kind, str) and kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if isinstance(architecture, str) and architecture in _BY_ARCHITECTURE:
        return _BY_ARCHITECTURE[architecture]
    return None


def kind_of(metadata: Mapping[str, Value]) -> Kind:
    """What the model in the file does."""
    if _pooling(metadata) == _RANKING:
        return Kind.RERANK
    return Kind.EMBEDDING if is_encoder(metadata) or _pooling(metadata) else Kind.GENERATION


def is_encoder(metadata: Mapping[str, Value]) -> bool:
    """Whether it has no KV cache: it reads a text at once, each token with all others."""
    return metadata.get("general.architecture") in _ENCODERS


def _pooling(metadata: Mapping[str, Value]) -> int:
    pooling = metadata.get(f"{metadata.get('general.architecture')}.pooling_type")
    return pooling if isinstance(pooling, int) and pooling > 0 else 0
