"""A completion that is asked for: what a body becomes when it was validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.routing.resolve import AUTO
from orchestration.semantic.eligibility import CacheWishes
from web.schemas import (
    constraints,
    messages,
    prompt_reading,
    sampling,
    service_tier,
    template_options,
    tools,
    unknown_parameters,
)
from web.schemas.completion_schema import ROUTED, CompletionSchema, JobSchema
from web.schemas.text_schema import (
    DEFAULT_MAX_TOKENS,
    NOT_OF_GAPS,
    OF_CHATS,
    OF_EDITORS,
    InfillSchema,
    TextJobSchema,
    TextSchema,
)
from workers.contract.embedding import Embedding
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.job import Api, Message, Priority, TemplateOptions
from workers.contract.prompt import Prompt
from workers.contract.reranking import Reranking
from workers.contract.sampling import Sampling
from workers.contract.tools import Tools
from workers.store.admission import Idempotency


@dataclass(frozen=True, slots=True)
class Completion:
    """A validated request."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    template: TemplateOptions
    tools: Tools | None
    #: None: as the settings and the preset say.
    mode: str | None
    priority: Priority
    task_type: str | None
    user: str | None
    #: What its caller keeps with it.
    metadata: Mapping[str, str]
    store: bool | None
    service_tier: str | None
    #: Whether old turns may be shortened; None: as the settings say.
    compression: str | None
    stream: bool
    include_usage: bool
    #: The stream carries what the steps do, too.
    include_steps: bool
    #: The answer tells how long its parts took.
    timings: bool
    deadline_s: float | None
    webhook: str | None
    #: How many answers.
    choices: int
    #: Names of parameters that were taken and change nothing.
    ignored: tuple[str, ...]
    #: What of its constraint or its tools' schemas an answer is not held to, in words.
    relaxed: tuple[str, ...]
    #: What an answer of `/v1/responses` repeats of the request; None: it is asked for elsewhere.
    response: Mapping[str, Any] | None = None
    #: What its Idempotency-Key stands for, which is no part of the body.
    idempotency: Idempotency | None = None
    #: What the model reads instead of messages.
    prompts: tuple[Prompt, ...] = ()
    #: Instead of both: texts whose vectors are asked for.
    embedding: Embedding | None = None
    #: Or documents that are to be ranked.
    reranking: Reranking | None = None
    api: Api = Api.CHAT
    #: What it says of the semantic cache; None: that is not asked for it.
    cache: CacheWishes | None = None


_SCHEMAS = {Api.CHAT: CompletionSchema(), Api.TEXT: TextSchema(), Api.INFILL: InfillSchema()}
_JOB_SCHEMAS = {Api.CHAT: JobSchema(), Api.TEXT: TextJobSchema()}


def load(
    body: Mapping[str, Any],
    default_priority: Priority,
    *,
    most_messages: int,
    api: Api = Api.CHAT,
    asynchronous: bool = False,
    auto_route: bool = False,
) -> Completion:
    """Validate a body: of a completion or, `asynchronous`, of a job.

    With `auto_route` one without a model asks for any. `most_messages` is
    INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not there yet.
    """
    schema = _JOB_SCHEMAS[api] if asynchronous else _SCHEMAS[api]
    if api is not Api.CHAT:
        _require_no_chat(body, NOT_OF_GAPS if api is Api.INFILL else OF_CHATS)
    known, ignored = unknown_parameters.sort_out(body, schema.fields, OF_EDITORS[api])
    messages.require_few(known.get("messages"), most_messages)
    data = schema.read(known, **(ROUTED if auto_route else {}))
    stream = bool(data.get("stream"))
    options = data.get("stream_options")
    if options is not None and not stream:
        raise ValidationFailed(
            "stream_options goes only with stream: true.", details={"param": "stream_options"}
        )
    conversation = messages.read(data.get("messages", ()))
    prompts, choices = _prompts(data, api)
    constraint, relaxed = constraints.read(data, known)
    offered, relaxed_tools = tools.read(data)
    return Completion(
        model=data.get("model", AUTO),
        messages=conversation,
        sampling=sampling.read(data, constraint),
        template=template_options.read(data, conversation),
        tools=offered,
        mode=data.get("orchestration_mode"),
        priority=service_tier.priority(data, default_priority),
        service_tier=data.get("service_tier"),
        compression=data.get("compression"),
        task_type=data.get("task_type"),
        user=data.get("user"),
        metadata=data.get("metadata") or {},
        store=data.get("store"),
        stream=stream,
        include_usage=bool((options or {}).get("include_usage")),
        include_steps=bool((options or {}).get("include_steps")),
        timings=bool(data.get("timings")),
        deadline_s=data.get("deadline_s"),
        webhook=data.get("webhook"),
        choices=choices,
        ignored=(*ignored, *messages.unknown_names(body.get("messages"))),
        relaxed=(*relaxed, *relaxed_tools),
        prompts=prompts,
        api=api,
        cache=data.get("cache") or CacheWishes() if api is Api.CHAT and not asynchronous else None,
    )


def _prompts(data: dict[str, Any], api: Api) -> tuple[tuple[Prompt, ...], int]:
    """What a body has instead of messages, and how many answers it asks for.

    Each address has a name and a default of its own for the most tokens of an answer: they become
    those of chat completions.
    """
    if api is Api.TEXT:
        if data.get("max_tokens") is None:
            data["max_tokens"] = DEFAULT_MAX_TOKENS
        return prompt_reading.of_text(data)
    if api is Api.INFILL:
        most = data.get("n_predict")
        data["max_tokens"] = None if most == -1 else most
        return (prompt_reading.of_infill(data),), 1
    return (), data.get("n") or 1


def _require_no_chat(body: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if body.get(name) is not None:
            raise UnsupportedParameter(
                f"{name!r} goes only with POST /v1/chat/completions.", details={"param": name}
            )
