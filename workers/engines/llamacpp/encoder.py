"""Embedding models as GGUF files."""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp

from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.encoder import Vectors
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.pooled_model import PooledModel


class LlamaCppEncoder(PooledModel):
    """One GGUF model that embeds."""

    def tokenize(self, text: str) -> list[int]:
        """See `Encoder.tokenize`."""
        return self._vocabulary.ids(text, around=True)

    def encode(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """See `Encoder.encode`."""
        return self._computed(batch)

    def _numbers(self, spec: ModelSpec, model: Model, pooling: int) -> int:
        if pooling in (llama_cpp.LLAMA_POOLING_TYPE_NONE, llama_cpp.LLAMA_POOLING_TYPE_RANK):
            raise ModelLoadFailed(
                f"The file of {spec.id} names no pooling that makes one vector of a text "
                f"(its metadata's pooling_type is {pooling})."
            )
        return int(llama_cpp.llama_model_n_embd_out(model.pointer))
