"""The fields of a request to `/v1/responses`, as callers may send them."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields

from orchestration.modes import registry
from web.schemas.completion_schema import LONGEST_DEADLINE_S, CallerFields
from web.schemas.constraints import TYPES
from web.schemas.fields import Decimal, Flag, Items, JsonField, Text, Whole, kind
from web.schemas.lenient import LenientSchema
from web.schemas.template_options import EFFORTS
from web.schemas.tools import LONGEST_DESCRIPTION, MOST_TOOLS, FunctionName
from workers.contract.job import COMPRESS, KEEP
from workers.contract.logprobs import MOST_ALTERNATIVES

#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
#: What `include` may name; what is not here has nothing to show.
LOGPROBS = "message.output_text.logprobs"


class Input(JsonField[str | list[Any]]):
    """A text, or a list of items, which `items.read` looks into."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | list[Any]:
        if not isinstance(value, str | list):
            raise ValidationError(f"must be a string or a list of items, not {kind(value)}")
        if not value:
            raise ValidationError("must not be empty")
        return value

    def json_schema(self) -> dict[str, Any]:
        """A string, or a list of objects."""
        items = {"type": "array", "items": {"type": "object"}, "minItems": 1}
        return {"anyOf": [{"type": "string", "minLength": 1}, items]}


class ReasoningSchema(LenientSchema):
    """How much the model thinks."""

    effort = Text(choices=EFFORTS, description="For chat templates that know it.")
    summary = Text(description="Changes nothing: thoughts come whole.")


class TextFormatSchema(LenientSchema):
    """Text, any JSON object, or JSON that follows a schema."""

    type = Text(required=True, choices=TYPES)
    name = Text(most=64)
    description = Text(most=10_000)
    strict = Flag()
    schema = fields.Dict()


class TextConfigSchema(LenientSchema):
    """What the text is held to."""

    format = fields.Nested(TextFormatSchema, allow_none=True)
    verbosity = Text(description="Changes nothing: only models of OpenAI read it.")


class OfferedFunctionSchema(LenientSchema):
    """A function that the model may call, and its caller runs."""

    type = Text(required=True)
    name = FunctionName()
    description = Text(most=LONGEST_DESCRIPTION)
    parameters = fields.Dict(allow_none=True)
    strict = Flag()


class ResponseSchema(CallerFields, LenientSchema):
    """A request for a response."""

    model = Text(
        required=True,
        least=1,
        most=200,
        description="A model's id or alias, or `preset:` and the name of a preset.",
    )
    input = Input(
        required=True,
        description="A text, or items: messages, calls of functions and their outputs, reasoning.",
    )
    instructions = Text(description="What the model is told first; not kept for later responses.")
    previous_response_id = Text(
        least=1, most=64, description="The response whose conversation goes on."
    )
    store = Flag(description="Keep response and conversation; true if absent.")
    background = Flag(description="Answer at once, and go on whatever happens to the connection.")
    stream = Flag(description="Send typed server-sent events while it is made.")
    max_output_tokens = Whole(
        1, _MOST_TOKENS, description="Tokens to produce at most, thoughts included."
    )
    temperature = Decimal(0, 2)
    top_p = Decimal(0, 1)
    top_logprobs = Whole(0, MOST_ALTERNATIVES)
    text = fields.Nested(TextConfigSchema, allow_none=True)
    reasoning = fields.Nested(ReasoningSchema, allow_none=True)
    tools = Items(
        fields.Dict(),
        allow_none=True,
        most=MOST_TOOLS,
        metadata={"description": "Functions that the caller runs."},
    )
    tool_choice = fields.Raw(
        allow_none=True,
        metadata={"description": "`none`, `auto`, `required`, a function, or `allowed_tools`."},
    )
    parallel_tool_calls = Flag()
    truncation = Text(
        choices=("auto", "disabled"), description="`auto`: old turns may be shortened."
    )
    include = Items(
        Text(required=True, most=100),
        allow_none=True,
        most=16,
        metadata={"description": f"`{LOGPROBS}`; others have nothing to show."},
    )
    orchestration_mode = Text(
        choices=registry.names(), description="Ours: how several models answer."
    )
    task_type = Text(most=64, description="Ours: the kind of task, for routing.")
    priority = Whole(
        0, 3, description="Ours: 3 is taken first; 0 (bulk) goes with `background` alone."
    )
    deadline_s = Decimal(
        0.001, LONGEST_DEADLINE_S, description="Ours, with `background`: seconds it may take."
    )
    webhook = Text(
        least=1, most=2000, description="Ours, with `background`: where its end is sent, signed."
    )


#: Fields that chat completions have, too, under the same name and with the same meaning.
SAME: tuple[str, ...] = (
    "model",
    "temperature",
    "top_p",
    "user",
    "metadata",
    "service_tier",
    "priority",
    "orchestration_mode",
    "task_type",
    "deadline_s",
    "webhook",
)
#: `truncation` -> `compression` of chat completions.
TRUNCATIONS = {"auto": COMPRESS, "disabled": KEEP}
