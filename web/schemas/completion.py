"""The body of `POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate

from orchestration.modes import registry
from orchestration.routing.resolve import AUTO
from web.schemas import messages, parameters, response_format
from web.schemas.bounds import Bounds
from web.schemas.fields import Decimal, Flag, Items, LenientSchema, Stop, Text, Whole
from web.schemas.messages import MessageSchema
from web.schemas.refusals import invalid
from web.schemas.response_format import ResponseFormatSchema
from workers.contract.errors import ValidationFailed
from workers.contract.fields import without_none
from workers.contract.job import Message, Priority, Sampling
from workers.contract.keys import ACCEPTED_TTL_S
from workers.store.admission import Idempotency

#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
_SEED = 2**63
#: A record of a job that does not end is kept this long.
LONGEST_DEADLINE_S = ACCEPTED_TTL_S
#: Parameters that go to the sampler under the names that callers use.
_SAMPLER_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)


#: A conversation is text: few values, of which some are long.
BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Completion:
    """A validated request."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    #: None: as the settings and the preset say.
    mode: str | None
    priority: Priority
    task_type: str | None
    user: str | None
    stream: bool
    include_usage: bool
    #: The stream carries what the steps do, too.
    include_steps: bool
    deadline_s: float | None
    webhook: str | None
    #: Names of parameters that were taken and change nothing.
    ignored: tuple[str, ...]
    #: What its Idempotency-Key stands for, which is no part of the body.
    idempotency: Idempotency | None = None


class StreamOptionsSchema(LenientSchema):
    """Options of a stream."""

    include_usage = Flag(description="Send the usage in a frame of its own, before `[DONE]`.")
    include_steps = Flag(description="Send what the steps of a mode do, as frames without choices.")


class CompletionSchema(LenientSchema):
    """A chat completion. `parameters.sort_out` deals with names that are not here."""

    #: `ROUTED` loads a body without it.
    model = Text(
        required=True,
        least=1,
        most=200,
        description="A model's id or alias; with auto-routing also a role or `auto`.",
        error_messages={
            "required": "is missing. Name one of GET /v1/models; only with "
            "INFERENCE_AUTO_ROUTE_ENABLED=true it may be left out"
        },
    )
    messages = Items(
        fields.Nested(MessageSchema),
        required=True,
        validate=validate.Length(min=1),
        metadata={"description": "The conversation, oldest message first."},
    )
    stream = Flag(description="Send the answer as server-sent events while it is made.")
    stream_options = fields.Nested(
        StreamOptionsSchema,
        allow_none=True,
        metadata={"description": "`include_usage` and `include_steps`; only with `stream`."},
    )
    max_tokens = Whole(1, _MOST_TOKENS, description="The most tokens of the answer.")
    max_completion_tokens = Whole(
        1, _MOST_TOKENS, description="The newer name of `max_tokens`; the smaller one counts."
    )
    temperature = Decimal(0, 2, description="0 takes the most likely token every time.")
    top_p = Decimal(0, 1, description="Sample from the most likely tokens of this total chance.")
    top_k = Whole(-1, _MOST_TOKENS, description="Sample from this many tokens; 0 and -1: all.")
    min_p = Decimal(0, 1, description="Leave out tokens less likely than this part of the best.")
    stop = Stop(description="Strings that end the answer; they are no part of it.")
    seed = Whole(-_SEED, _SEED - 1, description="The same seed draws the same tokens.")
    presence_penalty = Decimal(-2, 2, description="Above 0: tokens that occurred become rarer.")
    frequency_penalty = Decimal(-2, 2, description="The same, for each time a token occurred.")
    response_format = fields.Nested(
        ResponseFormatSchema,
        allow_none=True,
        metadata={"description": "Text, a JSON object, or JSON that follows a schema."},
    )
    user = Text(most=512, description="Who asks, as the caller names them; kept with the job.")
    task_type = Text(
        most=64, description="The kind of task, for routing: `code`, `reason`, `quick`, ..."
    )
    orchestration_mode = Text(
        choices=registry.names(),
        description="How several models answer; the service's own mode if absent.",
    )
    priority = Whole(1, 3, description="3 is taken first, 1 last.")


class JobSchema(CompletionSchema):
    """A completion that nobody waits for on an open connection."""

    priority = Whole(0, 3, description="3 is taken first, 0 (bulk) last.")
    deadline_s = Decimal(
        0.001, LONGEST_DEADLINE_S, description="Seconds after which the answer is worth nothing."
    )
    webhook = Text(
        least=1, most=2000, description="An address to which the job's end is sent, signed."
    )


#: What a schema is made with, besides, where a request without a model is routed.
ROUTED: Mapping[str, Any] = {"partial": ("model",)}
_SCHEMA = CompletionSchema()
_JOB_SCHEMA = JobSchema()


def load(
    body: Mapping[str, Any],
    default_priority: Priority,
    *,
    most_messages: int,
    asynchronous: bool = False,
    auto_route: bool = False,
) -> Completion:
    """Validate a body: of a chat completion or, `asynchronous`, of a job.

    With `auto_route` one without a model asks for any. `most_messages` is
    INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not there yet.
    """
    schema = _JOB_SCHEMA if asynchronous else _SCHEMA
    known, ignored = parameters.sort_out(body, schema.fields)
    turns = known.get("messages")
    if isinstance(turns, list) and len(turns) > most_messages:
        raise ValidationFailed(
            f"messages must have at most {most_messages} items (INFERENCE_MAX_MESSAGES).",
            details={"param": "messages", "bound": "messages", "limit": most_messages},
        )
    try:
        data: dict[str, Any] = schema.load(known, **(ROUTED if auto_route else {}))
    except ValidationError as error:
        param, problem = _first(error.normalized_messages())
        raise invalid(param, problem) from None
    stream = bool(data.get("stream"))
    options = data.get("stream_options")
    if options is not None and not stream:
        raise ValidationFailed(
            "stream_options goes only with stream: true.", details={"param": "stream_options"}
        )
    return Completion(
        model=data.get("model", AUTO),
        messages=messages.read(data["messages"]),
        sampling=_sampling(data),
        mode=data.get("orchestration_mode"),
        priority=Priority(data.get("priority", default_priority)),
        task_type=data.get("task_type"),
        user=data.get("user"),
        stream=stream,
        include_usage=bool((options or {}).get("include_usage")),
        include_steps=bool((options or {}).get("include_steps")),
        deadline_s=data.get("deadline_s"),
        webhook=data.get("webhook"),
        ignored=(*ignored, *messages.unknown_names(body.get("messages"))),
    )


def _sampling(data: Mapping[str, Any]) -> Sampling:
    given = without_none(data)
    limits = [given[name] for name in ("max_tokens", "max_completion_tokens") if name in given]
    chosen = {name: given[name] for name in _SAMPLER_FIELDS if name in given}
    if chosen.get("top_k") == -1:  # vLLM's spelling of "all"
        chosen["top_k"] = 0
    return Sampling(
        max_tokens=min(limits, default=None),
        response_format=response_format.read(data.get("response_format")),
        **chosen,
    )


def _first(messages: Any) -> tuple[str, str]:
    """The path and text of the first complaint in marshmallow's nested answer."""
    path: list[str] = []
    while isinstance(messages, dict):
        name, messages = next(iter(messages.items()))
        if name != "_schema":
            path.append(str(name))
    problem = messages[0] if isinstance(messages, list) else str(messages)
    problem = str(problem).rstrip(".")
    wording = {
        "Missing data for required field": "is missing",
        "Field may not be null": "must not be null",
        "Not a valid list": "must be a list",
        "Not a valid mapping type": "must be an object",
        "Invalid input type": "must be an object",
        "Shorter than minimum length 1": "must not be empty",
    }
    return ".".join(path), wording.get(problem, problem)
