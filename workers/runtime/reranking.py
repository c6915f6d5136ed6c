"""What one attempt at a step does whose model ranks: its ranking goes into the job's log."""

from __future__ import annotations

import time
from collections.abc import Iterator

from workers.contract.events import Ranked
from workers.contract.reranking import Reranking
from workers.contract.step import Timings, Usage
from workers.contract.wrong_kind import wrong_kind
from workers.engines.base import Delta
from workers.engines.rerank_engine import Ranking, RerankEngine
from workers.runtime.embedding import CANCELLED
from workers.store.leases import Lease
from workers.store.token_log import StepWriter

#: Characters of the documents in one event, so that no event holds Redis for long; and what the
#: numbers of one are counted as.
_EVENT_CHARACTERS, _ENTRY_CHARACTERS = 256 * 1024, 32


def rank(lease: Lease, engine: RerankEngine, writer: StepWriter) -> tuple[Delta, Ranked | None]:
    """Write the ranking that the lease's job asks for; returns the end as any engine tells it.

    Its last part is returned: it is written with the step's end, in one call.

    Raises:
        InferenceError: as `RerankEngine.rank`.
        WrongModelKind: the job asks for something else.
    """
    job, request = lease.job, lease.request
    if job.reranking is None:
        raise wrong_kind(request.model, "rerank")
    began = time.perf_counter()
    ranking = engine.rank(job.reranking, lease.stop, job.priority)
    if ranking is None:
        return CANCELLED, None
    computed_ms = round((time.perf_counter() - began) * 1e3, 3)
    last = None
    for first, end in _parts(ranking, job.reranking):
        if last is not None:
            writer.write(last)
            writer.settle_all()
            if writer.refused.is_set():
                return CANCELLED, None
        indexes = tuple(ranking.indexes[first:end].tolist())
        scores = tuple(ranking.scores[first:end].tolist())
        texts = (
            tuple(job.reranking.documents[index] for index in indexes)
            if job.reranking.return_documents
            else None
        )
        last = Ranked(0, request.step, lease.attempt, first, indexes, scores, texts)
    usage, timings = Usage(ranking.tokens, 0), Timings(prefill_ms=computed_ms)
    return Delta(finish_reason="stop", usage=usage, timings=timings), last


def _parts(ranking: Ranking, reranking: Reranking) -> Iterator[tuple[int, int]]:
    """The places at which each event's part begins and ends."""
    first = size = 0
    for place, index in enumerate(ranking.indexes):
        size += _ENTRY_CHARACTERS
        if reranking.return_documents:
            size += len(reranking.documents[index])
        if size >= _EVENT_CHARACTERS:
            yield first, place + 1
            first, size = place + 1, 0
    if first < len(ranking.indexes):
        yield first, len(ranking.indexes)
