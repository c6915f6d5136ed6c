"""The fields of a request to `/v1/messages`, as callers may send them."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from orchestration.modes import registry
from web.schemas.fields import Content, Decimal, Flag, Items, Stop, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.tools import LONGEST_DESCRIPTION, MOST_TOOLS, FunctionName
from workers.contract.job import COMPRESS, KEEP

#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
#: Efforts of Anthropic's API; `max` is `xhigh` to chat templates.
EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: The least that may be left for thoughts, as in Anthropic's API.
LEAST_BUDGET = 1024


class TurnSchema(LenientSchema):
    """One turn of the conversation."""

    role = Text(required=True, choices=("user", "assistant"))
    content = Content(required=True, description="A text, or a list of content blocks.")


class MetadataSchema(LenientSchema):
    """Who asks."""

    user_id = Text(most=512, description="Who asks, as the caller names them; kept with the job.")


class ThinkingSchema(LenientSchema):
    """Whether the model thinks before it answers."""

    type = Text(required=True, choices=("enabled", "adaptive", "disabled"))
    budget_tokens = Whole(
        LEAST_BUDGET,
        _MOST_TOKENS,
        description="A hint: it chooses the effort, for templates that know one. `max_tokens` "
        "bounds thoughts and answer together.",
    )
    display = Text(
        choices=("summarized", "omitted"),
        description="`omitted` leaves thoughts out; else they are shown whole, not summarized.",
    )


class FormatSchema(LenientSchema):
    """JSON that follows a schema."""

    type = Text(required=True, choices=("json_schema",))
    schema = fields.Dict(required=True)


class OutputConfigSchema(LenientSchema):
    """What holds the answer."""

    effort = Text(choices=EFFORTS, description="For chat templates that know it.")
    format = fields.Nested(FormatSchema, allow_none=True)


class OfferedToolSchema(LenientSchema):
    """A tool that the caller runs."""

    type = Text()
    name = FunctionName()
    description = Text(most=LONGEST_DESCRIPTION)
    input_schema = fields.Dict(
        required=True, metadata={"description": "A JSON Schema of the input, of type `object`."}
    )
    strict = Flag(description="Refuse a schema to which input cannot be held in every part of it.")


class ToolsOfMessages(Items):
    """Tools; those of a type of Anthropic's own are refused by `translation`."""

    def __init__(self) -> None:
        super().__init__(
            fields.Dict(),
            allow_none=True,
            most=MOST_TOOLS,
            metadata={"description": "Tools that the caller runs: `name` and `input_schema`."},
        )


class OfferedChoiceSchema(LenientSchema):
    """Whether the model calls a tool."""

    type = Text(required=True, choices=("auto", "any", "tool", "none"))
    name = Text(least=1, most=64)
    disable_parallel_tool_use = Flag(description="At most one call stands in the answer.")


class CountSchema(LenientSchema):
    """A conversation whose tokens are counted; what has no part in the prompt is let pass."""

    model = Text(
        required=True,
        least=1,
        most=200,
        description="A model's id or alias, or `preset:` and the name of a preset.",
    )
    messages = Items(
        fields.Nested(TurnSchema),
        required=True,
        validate=validate.Length(min=1),
        metadata={"description": "The conversation, oldest turn first."},
    )
    system = Content(description="What the model is told first: a text, or text blocks.")
    thinking = fields.Nested(ThinkingSchema, allow_none=True)
    output_config = fields.Nested(OutputConfigSchema, allow_none=True)
    tools = ToolsOfMessages()
    tool_choice = fields.Nested(OfferedChoiceSchema, allow_none=True)


class MessagesSchema(CountSchema):
    """A request for one message."""

    max_tokens = Whole(
        1, _MOST_TOKENS, required=True, description="Tokens to produce at most, thoughts included."
    )
    metadata = fields.Nested(MetadataSchema, allow_none=True)
    service_tier = Text(
        choices=("auto", "standard_only"), description="Changes nothing: send `priority`."
    )
    stop_sequences = Stop(description="Texts that end the answer; they are not part of it.")
    stream = Flag(description="Send the message as server-sent events while it is made.")
    temperature = Decimal(0, 2)
    top_k = Whole(0, _MOST_TOKENS, description="0: all tokens.")
    top_p = Decimal(0, 1)
    priority = Whole(1, 3, description="Ours: 3 is taken first, 1 last.")
    orchestration_mode = Text(
        choices=registry.names(), description="Ours: how several models answer."
    )
    compression = Text(
        choices=(COMPRESS, KEEP), description="Ours: whether old turns may be shortened."
    )


#: Fields that chat completions have, too, under the same name and with the same meaning.
SAME: tuple[str, ...] = (
    "model",
    "max_tokens",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "priority",
    "orchestration_mode",
    "compression",
)


def json_schema_of(content: Any) -> dict[str, Any]:
    """An output format as chat completions have it."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": content}}
