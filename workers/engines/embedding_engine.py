"""The engine of every embedding model: it checks, cuts, batches and scales; a backend computes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from presets.memory.footprint import MOST_EMBEDDED_TOKENS
from presets.model import ModelSpec
from workers.contract.embedding import FLOAT_BYTES, MOST_VECTOR_BYTES, Embedding, Input
from workers.contract.engine_use import EngineUse
from workers.contract.errors import ContextBudgetExceeded, EngineFailed, ValidationFailed
from workers.contract.job import Priority
from workers.engines.embedding_batches import EmbeddingBatches
from workers.engines.encoder import Encoder, Vectors
from workers.engines.time_budget import Cancelled, Preparations, TimeBudget


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a request, each of length 1, and the tokens that were read for them."""

    vectors: Vectors
    tokens: int


class EmbeddingEngine:
    """A loaded embedding model; `embed` is safe from several threads at once."""

    #: It runs in its worker's own process and dies with it.
    dead: str | None = None

    def __init__(self, encoder: Encoder) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._encoder = encoder
        self._name = ""
        #: Tokens that every text ends with; a text that is cut keeps them.
        self._ending: list[int] = []
        self._batches: EmbeddingBatches | None = None
        self._preparations = Preparations()

    @property
    def dimensions(self) -> int:
        """Numbers of a vector, unless a request asks for fewer."""
        return self._encoder.dimensions

    @property
    def stalled_s(self) -> float:
        """See `LoadedModel.stalled_s`."""
        computing_s = self._batches.stalled_s if self._batches is not None else 0.0
        return max(computing_s, self._preparations.overdue_s)

    @property
    def use(self) -> EngineUse:
        """See `LoadedModel.use`."""
        return EngineUse(rows=0 if self._batches is None else self._batches.rows)

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`."""
        self._name = spec.id
        self._encoder.load(spec, on_progress)
        longest = min(spec.context_length, MOST_EMBEDDED_TOKENS)
        self.context_length = min(longest, self._encoder.most_tokens)
        self.memory_bytes = self._encoder.memory_bytes
        self._ending = _common_ending(self._encoder.tokenize("a"), self._encoder.tokenize("b"))
        self._batches = EmbeddingBatches(self._encoder)
        self._batches.start()
        on_progress(1.0)

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
        batches = self._batches
        if batches is None:
            raise EngineFailed("The engine is closed.")
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

    def forget_job(self, job: str) -> None:
        """See `LoadedModel.forget_job`: nothing is kept of any."""

    def close(self) -> None:
        """See `LoadedModel.close`."""
        batches, self._batches = self._batches, None
        if batches is not None:
            batches.stop()
            self._encoder.close()

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
            raise ContextBudgetExceeded(
                f"This model's maximum context length is {most} tokens. {param} has {len(ids)}; "
                f"{self._name} cannot read it whole. Send less, or truncate: true "
                "(context_length_exceeded).",
                details={
                    "current_tokens": len(ids),
                    "budget": most,
                    "model": self._name,
                    "param": param,
                    "reason": "context_length_exceeded",
                },
            )
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


def _common_ending(first: list[int], second: list[int]) -> list[int]:
    """What two texts end with alike."""
    length = 0
    while length < min(len(first), len(second)) and first[-length - 1] == second[-length - 1]:
        length += 1
    return first[len(first) - length :]


def _scaled(vectors: Vectors) -> Vectors:
    """The vectors with length 1; one of nothing but zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return scaled
