"""A whole answer, in the body of the address at which it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from web.render import embeddings, infill, openai, reranking, texts
from workers.contract.events import Event
from workers.contract.job import Api, Job

_BODIES = {
    Api.CHAT: openai.completion,
    Api.TEXT: texts.completion,
    Api.INFILL: infill.completion,
    Api.EMBEDDINGS: embeddings.completion,
    Api.RERANK: reranking.completion,
}


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of a plain answer, from all events of a job that has completed."""
    return _BODIES[job.api](job, events)
