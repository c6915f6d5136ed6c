"""What a GGUF file is for, by its metadata: a model that talks, or something else.

Sources: `general.type` as llama.cpp's conversion writes it (gguf-py, `GGUFType`); the architectures
without a causal decoder in llama.cpp's list (llama-arch.cpp); `pooling_type` as llama.cpp's
`llama_pooling_type`, where 0 is none and absence leaves a decoder as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from presets.weights.gguf import Value

_BY_TYPE = {
    "adapter": "an adapter (LoRA), which is no model of its own",
    "mmproj": "a projector of images or sound, which is no model of its own",
    "imatrix": "an importance matrix, which is no model",
}
_EMBEDDING = "an embedding model, which answers no chat"
_BY_ARCHITECTURE = {
    **dict.fromkeys(
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
        ),
        _EMBEDDING,
    ),
    "clip": _BY_TYPE["mmproj"],
    "wavtokenizer-dec": "a decoder of sound, which answers no chat",
}
_RANKING = 4


def reason_against_chat(metadata: Mapping[str, Value]) -> str | None:
    """What the file is instead of a model that can chat; None: it can, or says too little.

    A file without a chat template can: it gets the engine's plain one.
    """
    kind = metadata.get("general.type")
    architecture = metadata.get("general.architecture")
    if isinstance(kind, str) and kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if isinstance(architecture, str) and architecture in _BY_ARCHITECTURE:
        return _BY_ARCHITECTURE[architecture]
    pooling = metadata.get(f"{architecture}.pooling_type")
    if isinstance(pooling, int) and pooling == _RANKING:
        return "a reranker, which answers no chat"
    if isinstance(pooling, int) and pooling > 0:
        return _EMBEDDING
    return None
