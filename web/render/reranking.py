"""From contract events to the body of `/v1/rerank`, as Jina, Cohere and vLLM have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.contract.events import Completed, Event, Ranked
from workers.contract.job import Job


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of an answer, from all events of a job that has completed.

    Raises:
        ValueError: it has not completed.
    """
    results: dict[int, dict[str, Any]] = {}
    completed = None
    for event in events:
        if isinstance(event, Ranked):
            results |= dict(enumerate(_results(event), start=event.first))
        elif isinstance(event, Completed):
            completed = event
    if completed is None:
        raise ValueError(f"{job.id} has not completed")
    read = completed.outcome.usage.prompt_tokens
    return {
        "id": job.id,
        "object": "list",
        "created": job.created,
        "model": job.model,
        "results": [results[place] for place in sorted(results)],
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def _results(event: Ranked) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": score}
        for index, score in zip(event.indexes, event.scores, strict=True)
    ]
    if event.documents is not None:
        for result, text in zip(results, event.documents, strict=True):
            result["document"] = {"text": text}
    return results
