"""What a backend supplies of an embedding model; `EmbeddingEngine` does the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from presets.model import ModelSpec

#: One row for each text.
Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """An embedding model. One thread calls `encode`; `tokenize` is safe from several."""

    #: Once loaded: the most tokens of one text, those around it included.
    most_tokens: int
    #: Numbers of a vector.
    dimensions: int
    #: Ids are below it.
    vocabulary_size: int
    #: Texts, and tokens of all of them together, of which a batch is best made.
    batch_texts: int
    batch_tokens: int
    #: Bytes of memory that it takes, as measured.
    memory_bytes: int

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`."""

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, with those that the model expects around it."""

    def encode(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of texts, pooled as the model says; of whatever length.

        `batch`: at most `batch_texts` of at most `batch_tokens` together, or one text alone.

        Raises:
            EngineFailed: it could not be computed.
        """

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
