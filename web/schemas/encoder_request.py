"""What requests for vectors and for rankings have in common: they ask for no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from web.schemas import service_tier, unknown_parameters
from web.schemas.completion import Completion
from web.schemas.lenient import LenientSchema
from workers.contract.embedding import Embedding
from workers.contract.errors import UnsupportedParameter
from workers.contract.job import DEFAULT_MODE, Api, Priority, TemplateOptions
from workers.contract.reranking import Reranking
from workers.contract.sampling import Sampling


def read(body: Mapping[str, Any], schema: LenientSchema) -> tuple[dict[str, Any], list[str]]:
    """The fields of a body that is no conversation, and the names of those that change nothing.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not there.
    """
    if body.get("messages") is not None:
        raise UnsupportedParameter(
            "'messages' goes only with POST /v1/chat/completions.", details={"param": "messages"}
        )
    known, ignored = unknown_parameters.sort_out(body, schema.fields)
    return schema.read(known), ignored


def of(
    data: Mapping[str, Any],
    api: Api,
    default_priority: Priority,
    ignored: Iterable[str],
    *,
    embedding: Embedding | None = None,
    reranking: Reranking | None = None,
) -> Completion:
    """The request that a body of `CallerFields` makes, with what is asked for."""
    return Completion(
        model=data["model"],
        messages=(),
        sampling=Sampling(),
        template=TemplateOptions(),
        tools=None,
        mode=DEFAULT_MODE,
        priority=service_tier.priority(data, default_priority),
        service_tier=data.get("service_tier"),
        compression=None,
        task_type=None,
        user=data.get("user"),
        metadata=data.get("metadata") or {},
        store=None,
        stream=False,
        include_usage=False,
        include_steps=False,
        timings=False,
        deadline_s=data.get("deadline_s"),
        webhook=data.get("webhook"),
        choices=1,
        ignored=tuple(ignored),
        relaxed=(),
        embedding=embedding,
        reranking=reranking,
        api=api,
    )
