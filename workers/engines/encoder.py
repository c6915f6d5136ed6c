"""What a backend supplies of a model that reads texts and writes none; its engine does the rest.

An `Encoder` makes vectors (`EmbeddingEngine`), a `CrossEncoder` scores (`RerankEngine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from presets.model import ModelSpec

#: One row for each text.
Vectors = NDArray[np.float32]
_Item = TypeVar("_Item", bound=Sized, contravariant=True)


class BatchEncoder(Protocol[_Item]):
    """A model that reads batches of what has a length in tokens. One thread calls `encode`."""

    #: Once loaded: the most tokens of one text, those around it included.
    most_tokens: int
    #: Numbers of a row.
    dimensions: int
    #: Texts, and tokens of all of them together, of which a batch is best made.
    batch_texts: int
    batch_tokens: int
    #: Bytes of memory that it takes, as measured.
    memory_bytes: int

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`."""

    def encode(self, batch: Sequence[_Item]) -> Vectors:
        """A row of numbers for each text of the batch.

        `batch`: at most `batch_texts` of at most `batch_tokens` together, or one text alone.

        Raises:
            EngineFailed: it could not be computed.
        """

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""


class Encoder(BatchEncoder[Sequence[int]], Protocol):
    """An embedding model: a row is a vector, pooled as the model says; of whatever length."""

    #: Ids are below it.
    vocabulary_size: int

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, with those that the model expects around it. From any thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A query and a document, as a cross-encoder reads them: one text."""

    ids: NDArray[np.int32]
    #: Of each token the part that it belongs to, 0 or 1, as the model was trained with it.
    types: NDArray[np.uint8]
    #: Tokens that it had before it was cut.
    whole: int

    def __len__(self) -> int:
        return len(self.ids)


class Pairing(Protocol):
    """A query that was tokenised once, and is paired with each document."""

    #: Tokens of the query without a document.
    tokens: int

    def with_document(self, text: str) -> Pair:
        """The pair, cut to what the model reads: of the longer part first, from its end."""


class CrossEncoder(BatchEncoder[Pair], Protocol):
    """A model that scores pairs: a row is one number, the greater the better the document."""

    def pairing(self, query: str) -> Pairing:
        """The beginning of all pairs of a query. From any thread."""


def common_ending(first: list[int], second: list[int]) -> list[int]:
    """What two texts end with alike."""
    length = 0
    while length < min(len(first), len(second)) and first[-length - 1] == second[-length - 1]:
        length += 1
    return first[len(first) - length :]
