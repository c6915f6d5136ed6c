"""The engine of every cross-encoder: it pairs, cuts, batches and ranks; a backend computes."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.contract.errors import EngineFailed, ValidationFailed
from workers.contract.job import Priority
from workers.contract.reranking import MOST_PAIR_TOKENS, Reranking
from workers.engines.encoder import CrossEncoder, Pair
from workers.engines.encoder_engine import EncoderEngine
from workers.engines.time_budget import Cancelled, TimeBudget


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The documents of a request, the best first, and the tokens that were read for it."""

    #: Which of the documents each is, from 0.
    indexes: NDArray[np.int64]
    scores: NDArray[np.float32]
    tokens: int


class RerankEngine(EncoderEngine[Pair]):
    """A loaded cross-encoder; `rank` is safe from several threads at once."""

    def __init__(self, encoder: CrossEncoder) -> None:
        super().__init__(encoder)
        self._encoder = encoder

    def rank(
        self,
        reranking: Reranking,
        cancelled: threading.Event,
        priority: Priority = Priority.NORMAL,
    ) -> Ranking | None:
        """The best `top_n` documents; None where it was cancelled. Equal ones stay in their order.

        Raises:
            ContextBudgetExceeded: the query, or it with a document, is too long, and is not to be
                cut.
            ValidationFailed: all pairs together have too many tokens.
            TimeBudgetExceeded: making tokens of them took too long.
            EngineFailed: they could not be computed.
        """
        batches = self._running()
        try:
            with self._preparations.begin(cancelled) as budget:
                budget.phase = "tokenising the documents"
                pairs = self._pairs(reranking, budget)
        except Cancelled:
            return None
        rows = batches.compute(pairs, priority, cancelled)
        if rows is None:
            return None
        scores = rows[:, 0]
        if not np.isfinite(scores).all():
            raise EngineFailed(f"{self._name} gave a score that is no number.")
        best = np.argsort(-scores, kind="stable")[: reranking.top_n]
        return Ranking(best, scores[best], sum(map(len, pairs)))

    def _pairs(self, reranking: Reranking, budget: TimeBudget) -> list[Pair]:
        """The query with each document."""
        pairing = self._encoder.pairing(reranking.query)
        if pairing.tokens > self.context_length and not reranking.truncate:
            raise self._too_long(pairing.tokens, "query")
        pairs: list[Pair] = []
        tokens = 0
        for place, document in enumerate(reranking.documents):
            budget.check()
            pair = pairing.with_document(document)
            if pair.whole > self.context_length and not reranking.truncate:
                raise self._too_long(pair.whole, f"documents.{place}")
            tokens += len(pair)
            if tokens > MOST_PAIR_TOKENS:
                raise ValidationFailed(
                    f"documents have more than {MOST_PAIR_TOKENS} tokens together, the query "
                    f"counted with each: document {place} is one too many. Send several requests.",
                    details={"param": "documents", "limit": MOST_PAIR_TOKENS},
                )
            pairs.append(pair)
        return pairs
