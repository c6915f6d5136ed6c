"""What one attempt at a step does whose model embeds: its vectors go into the job's log."""

from __future__ import annotations

import time

from workers.contract.embedding import FLOAT_BYTES, encoded
from workers.contract.events import Vectors
from workers.contract.step import Timings, Usage
from workers.contract.wrong_kind import wrong_kind
from workers.engines.base import Delta
from workers.engines.embedding_engine import EmbeddingEngine
from workers.store.leases import Lease
from workers.store.token_log import StepWriter

#: Bytes of the vectors in one event, so that no event holds Redis for long. Each is written when
#: the one before is there.
_EVENT_BYTES = 256 * 1024
#: The end of a request that nobody waits for any longer.
CANCELLED = Delta(finish_reason="cancelled", usage=Usage(0, 0))


def embed(
    lease: Lease, engine: EmbeddingEngine, writer: StepWriter
) -> tuple[Delta, Vectors | None]:
    """Write the vectors that the lease's job asks for; returns the end as any engine tells it.

    The last of them are returned: they are written with the step's end, in one call. An attempt
    before may have written some of them: they are the same, and written again.

    Raises:
        InferenceError: as `EmbeddingEngine.embed`.
        WrongModelKind: the job asks for something else.
    """
    job, request = lease.job, lease.request
    if job.embedding is None:
        raise wrong_kind(request.model, "embedding")
    began = time.perf_counter()
    embedded = engine.embed(job.embedding, lease.stop, job.priority)
    if embedded is None:
        return CANCELLED, None
    computed_ms = round((time.perf_counter() - began) * 1e3, 3)
    count, dimensions = embedded.vectors.shape
    numbers = embedded.vectors.astype("<f4").tobytes()
    vector_bytes = dimensions * FLOAT_BYTES
    of_event = max(1, _EVENT_BYTES // vector_bytes)
    last = None
    for first in range(0, count, of_event):
        if last is not None:
            writer.write(last)
            writer.settle_all()
            if writer.refused.is_set():
                return CANCELLED, None
        part = numbers[first * vector_bytes : (first + of_event) * vector_bytes]
        last = Vectors(0, request.step, lease.attempt, first, dimensions, encoded(part))
    usage, timings = Usage(embedded.tokens, 0), Timings(prefill_ms=computed_ms)
    return Delta(finish_reason="stop", usage=usage, timings=timings), last
