"""From contract events to the body of OpenAI's `/v1/embeddings`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.contract.embedding import FLOAT_BYTES, decoded, encoded, numbers
from workers.contract.events import Completed, Event, Vectors
from workers.contract.job import Job


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of an answer, from all events of a job that has completed.

    Raises:
        ValueError: it has not completed.
    """
    vectors: dict[int, bytes] = {}
    completed = None
    for event in events:
        if isinstance(event, Vectors):
            size, raw = event.dimensions * FLOAT_BYTES, decoded(event.data)
            for place in range(len(raw) // size):
                vectors[event.first + place] = raw[place * size : (place + 1) * size]
        elif isinstance(event, Completed):
            completed = event
    if completed is None:
        raise ValueError(f"{job.id} has not completed")
    as_base64 = job.embedding is not None and job.embedding.as_base64
    written = encoded if as_base64 else numbers
    read = completed.outcome.usage.prompt_tokens
    return {
        "id": job.id,
        "object": "list",
        "created": job.created,
        "model": job.model,
        "data": [
            {"object": "embedding", "index": place, "embedding": written(vectors[place])}
            for place in sorted(vectors)
        ],
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }
