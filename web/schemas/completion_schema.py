"""The fields of a completion's body, as callers may send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from orchestration.modes import registry
from web.schemas.bounds import Bounds
from web.schemas.constraints import (
    ChoiceField,
    ResponseFormatSchema,
    SchemaField,
    SourceField,
    StructuredOutputsSchema,
)
from web.schemas.fields import Decimal, Flag, Items, Stop, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.messages import MessageSchema
from web.schemas.template_options import EFFORTS
from web.schemas.tools import (
    FunctionCallField,
    FunctionSchema,
    ToolChoiceField,
    ToolSchema,
    ToolsField,
)
from workers.contract.job import MOST_CHOICES
from workers.contract.keys import ACCEPTED_TTL_S

#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
_SEED = 2**63
#: A record of a job that does not end is kept this long.
LONGEST_DEADLINE_S = ACCEPTED_TTL_S
#: A conversation is text: few values, of which some are long.
BOUNDS = Bounds()


class StreamOptionsSchema(LenientSchema):
    """Options of a stream."""

    include_usage = Flag(description="Send the usage in a frame of its own, before `[DONE]`.")
    include_steps = Flag(description="Send what the steps of a mode do, as frames without choices.")


class CompletionSchema(LenientSchema):
    """A chat completion. `unknown_parameters.sort_out` deals with names that are not here."""

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
    n = Whole(
        1,
        MOST_CHOICES,
        description="How many answers; they have seeds that follow each other.",
    )
    temperature = Decimal(0, 2, description="0 takes the most likely token every time.")
    top_p = Decimal(0, 1, description="Sample from the most likely tokens of this total chance.")
    top_k = Whole(-1, _MOST_TOKENS, description="Sample from this many tokens; 0 and -1: all.")
    min_p = Decimal(0, 1, description="Leave out tokens less likely than this part of the best.")
    stop = Stop(description="Strings that end the answer; they are no part of it.")
    seed = Whole(
        -_SEED,
        _SEED - 1,
        description="The same seed draws the same tokens, -1 too; leave it out for a fresh one.",
    )
    presence_penalty = Decimal(-2, 2, description="Above 0: tokens that occurred become rarer.")
    frequency_penalty = Decimal(-2, 2, description="The same, for each time a token occurred.")
    tools = ToolsField(ToolSchema, "Functions that the model may call.")
    tool_choice = ToolChoiceField(
        description="`auto`: the model decides; `required`: it calls one at least; `none`: it "
        "calls none; or the function that it calls. `auto` if absent."
    )
    parallel_tool_calls = Flag(description="Let several calls stand in one answer; true if absent.")
    functions = ToolsField(FunctionSchema, "The older form of `tools`.")
    function_call = FunctionCallField(description="The older form of `tool_choice`.")
    response_format = fields.Nested(
        ResponseFormatSchema,
        allow_none=True,
        metadata={"description": "Text, a JSON object, or JSON that follows a schema."},
    )
    reasoning_effort = Text(
        choices=EFFORTS,
        description="How much a model thinks, where its chat template knows the name; "
        "`none` switches thinking off.",
    )
    chat_template_kwargs = fields.Dict(
        allow_none=True,
        metadata={
            "description": "Variables of the model's chat template, such as "
            "`enable_thinking`; a name that it does not know changes nothing."
        },
    )
    add_generation_prompt = Flag(
        description="End the prompt where the assistant begins to answer; true if absent."
    )
    continue_final_message = Flag(
        description="Go on with the last message, which is the assistant's, instead of "
        "beginning a new one."
    )
    structured_outputs = fields.Nested(
        StructuredOutputsSchema,
        allow_none=True,
        metadata={"description": "vLLM's spelling of what the answer is held to; one of them."},
    )
    guided_json = SchemaField(description="vLLM's older name of `structured_outputs.json`.")
    guided_regex = SourceField(description="vLLM's older name of `structured_outputs.regex`.")
    guided_choice = ChoiceField(
        metadata={"description": "vLLM's older name of `structured_outputs.choice`."}
    )
    guided_grammar = SourceField(description="vLLM's older name of `structured_outputs.grammar`.")
    grammar = SourceField(description="A grammar in GBNF, as llama.cpp has it, or in Lark's form.")
    json_schema = SchemaField(description="A JSON Schema, as llama.cpp takes it.")
    user = Text(most=512, description="Who asks, as the caller names them; kept with the job.")
    task_type = Text(
        most=64, description="The kind of task, for routing: `code`, `reason`, `quick`, ..."
    )
    orchestration_mode = Text(
        choices=registry.names(),
        description="How several models answer; the service's own mode if absent.",
    )
    priority = Whole(1, 3, description="3 is taken first, 1 last.")


class JobFields:
    """What a completion has that runs in the background."""

    priority = Whole(0, 3, description="3 is taken first, 0 (bulk) last.")
    deadline_s = Decimal(
        0.001, LONGEST_DEADLINE_S, description="Seconds after which the answer is worth nothing."
    )
    webhook = Text(
        least=1, most=2000, description="An address to which the job's end is sent, signed."
    )


class JobSchema(JobFields, CompletionSchema):
    """A chat completion that runs in the background."""


#: What a schema is made with, besides, where a request without a model is routed.
ROUTED: Mapping[str, Any] = {"partial": ("model",)}
