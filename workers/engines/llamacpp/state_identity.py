"""What the state of a sequence depends on beside its tokens: where that is alike, it is of use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import llama_cpp

from presets.kv_cache import KvCache
from presets.weights import file_hash, split
from presets.weights.file_hash import FileState
from workers.engines.llamacpp.native import Model

#: The layout of prompt files and what stands in an identity: a new one finds nothing of before.
_LAYOUT = 1


class StateIdentity:
    """The weights that are loaded, how the pool keeps them, and which llama.cpp computes them."""

    def __init__(self, weights: Path, kv_cache: KvCache, elsewhere: Path) -> None:
        """To be made before the weights are loaded; `elsewhere` as in `file_hash.of`.

        Raises:
            OSError: the weights cannot be looked at.
        """
        self._files = [weights.with_name(part) for part in split.parts(weights.name)]
        self._before_load = [FileState.of(file) for file in self._files]
        self._elsewhere = elsewhere
        types = [kv_cache.type_k, kv_cache.type_v, kv_cache.flash_attention]
        self._described = [_LAYOUT, llama_cpp.__version__, *types]

    def find(self, *, is_stretched: bool) -> str:
        """It in hexadecimal; reads the weights, where nobody has kept their hash.

        Raises:
            OSError: they cannot be read, or are others now than those that were loaded.
        """
        hashes = [file_hash.of(file, self._elsewhere) for file in self._files]
        if [FileState.of(file) for file in self._files] != self._before_load:
            raise OSError("the model's file is another now than the one that was loaded")
        described = json.dumps([*self._described, is_stretched, hashes]).encode()
        return hashlib.sha256(described).hexdigest()


def is_stretched(model: Model, kv_tokens: int) -> bool:
    """Whether the pool makes llama.cpp take the factors for long contexts (LongRoPE).

    With them the same tokens have other keys.
    """
    architecture = model.metadata("general.architecture")
    trained = model.metadata(f"{architecture}.rope.scaling.original_context_length")
    return trained is not None and trained.isdecimal() and kv_tokens > int(trained)
