"""The engine of every embedding model: it checks, cuts, batches and scales; a backend computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from presets.model import ModelSpec
from workers.contract.embedding import FLOAT_BYTES, MOST_VECTOR_BYTES, Embedding, Input
from workers.contract.errors import ValidationFailed
from workers.contract.job import Priority
from workers.engines.encoder import Encoder, Vectors, common_ending
from workers.engines.encoder_engine import EncoderEngine
from workers.engines.time_budget import Cancelled, TimeBudget


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a request, each of length 1, and the tokens that were read for them."""

    vectors: Vectors
    tokens: int


class EmbeddingEngine(EncoderEngine[Sequence[int]]):
    """A loaded embedding model; `embed` is safe from several threads at once."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._encoder = encoder
        #: Tokens that every text ends with; a text that is cut keeps them.
        self._ending: list[int] = []

    @property
    def dimensions(self) -> int:
        """Numbers of a vector, unless a request asks for fewer."""
        return self._encoder.dimensions

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`."""
        super().load(spec, on_progress)
        self._ending = common_ending(self._encoder.tokenize("a"), self._encoder.tokenize("b"))

    def embed(
        self,
        embedding: Embedding,
        cancelled: threading.Event,
        priority: Priority = Priority.NORMAL,
    ) -> Embedded | None:
        """The vectors of a request's inputs, in their order; None where it was cancelled.

        Raises:
            ValidationFailed: an input has nothing to read or an id that is no token, the vectors
                have fewer numbers than are asked for, or they are too many.
            ContextBudgetExceeded: an input is too long, and is not to be cut.
            TimeBudgetExceeded: making tokens of them took too long.
            EngineFailed: they could not be computed.
        """
        batches = self._running()
        dimensions = self._dimensions_of(embedding)
        try:
            with self._preparations.begin(cancelled) as budget:
                budget.phase = "tokenising the input"
                several = len(embedding.inputs) > 1
                texts = [
                    self._ids(each, embedding, f"input.{place}" if several else "input", budget)
                    for place, each in enumerate(embedding.inputs)
                ]
        except Cancelled:
            return None
        vectors = batches.compute(texts, priority, cancelled)
        if vectors is None:
            return None
        return Embedded(_scaled(vectors[:, :dimensions]), sum(map(len, texts)))

    def _dimensions_of(self, embedding: Embedding) -> int:
        dimensions = embedding.dimensions or self.dimensions
        if dimensions > self.dimensions:
            raise ValidationFailed(
                f"dimensions must be at most {self.dimensions}: so many has {self._name}.",
                details={"param": "dimensions", "limit": self.dimensions},
            )
        size = len(embedding.inputs) * dimensions * FLOAT_BYTES
        if size > MOST_VECTOR_BYTES:
            most = MOST_VECTOR_BYTES // (dimensions * FLOAT_BYTES)
            raise ValidationFailed(
                f"input asks for {len(embedding.inputs)} vectors of {dimensions} numbers; one "
                f"request may have {most} of them. Send several, or fewer dimensions.",
                details={"param": "input", "limit": most},
            )
        return dimensions

    def _ids(self, given: Input, embedding: Embedding, param: str, budget: TimeBudget) -> list[int]:
        """The ids that are read of an input."""
        budget.check()
        if isinstance(given, str):
            ids = self._encoder.tokenize(given)
            if not ids:
                raise ValidationFailed(
                    f"{param} has nothing that {self._name} could read.", details={"param": param}
                )
        else:
            ids = list(given)
            self._require_known(ids, param)
        most = self.context_length
        if len(ids) <= most:
            return ids
        if not embedding.truncate:
            raise self._too_long(len(ids), param)
        ending = self._ending
        if ending and ids[-len(ending) :] == ending:
            return [*ids[: most - len(ending)], *ending]
        return ids[:most]

    def _require_known(self, ids: list[int], param: str) -> None:
        size = self._encoder.vocabulary_size
        wrong = next((id_ for id_ in ids if not 0 <= id_ < size), None)
        if wrong is not None:
            raise ValidationFailed(
                f"{param} holds the token id {wrong}; those of {self._name} are 0 to {size - 1}.",
                details={"param": param},
            )


def _scaled(vectors: Vectors) -> Vectors:
    """The vectors with length 1; one of nothing but zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return scaled
