"""The fields of a completion's body, as callers may send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from orchestration.modes import registry
from web.schemas.bounds import Bounds
from web.schemas.cache_wishes import CacheField
from web.schemas.constraints import (
    ChoiceField,
    ResponseFormatSchema,
    SchemaField,
    SourceField,
    StructuredOutputsSchema,
)
from web.schemas.fields import Decimal, Flag, Items, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.messages import MessageSchema
from web.schemas.metadata import Metadata
from web.schemas.prediction import PredictionSchema
from web.schemas.sampling_schema import SamplingSchema
from web.schemas.service_tier import TIERS
from web.schemas.template_options import EFFORTS
from web.schemas.tools import (
    FunctionCallField,
    FunctionSchema,
    ToolChoiceField,
    ToolSchema,
    ToolsField,
)
from workers.contract.job import COMPRESS, KEEP, MOST_CHOICES
from workers.contract.keys import ACCEPTED_TTL_S
from workers.contract.logprobs import MOST_ALTERNATIVES

#: A record of a job that does not end is kept this long.
LONGEST_DEADLINE_S = ACCEPTED_TTL_S
#: A conversation is text: few values, of which some are long.
BOUNDS = Bounds()


class StreamOptionsSchema(LenientSchema):
    """Options of a stream."""

    include_usage = Flag(description="Send the usage in a frame of its own, before `[DONE]`.")
    include_steps = Flag(description="Send what the steps of a mode do, as frames without choices.")


class CallerFields:
    """What any request says of its caller, and of how soon its answer is wanted."""

    user = Text(most=512, description="Who asks, as the caller names them; kept with the job.")
    metadata = Metadata(description="Pairs of texts, kept and shown with the job.")
    service_tier = Text(
        choices=TIERS,
        description="A `priority` in other words: `priority` is 3, `default` 2, `flex` 1; `auto`: "
        "as if absent.",
    )
    priority = Whole(1, 3, description="3 is taken first, 1 last.")


class CompletionSchema(CallerFields, SamplingSchema):
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
    timings = Flag(description="Tell how long each part of the answer took, as `timings_ms`.")
    logprobs: Flag | Whole = Flag(description="Tell each token's log probability, the model's own.")
    top_logprobs = Whole(
        0,
        MOST_ALTERNATIVES,
        description="So many of the likeliest tokens with each; only with `logprobs`.",
    )
    n = Whole(
        1,
        MOST_CHOICES,
        description="How many answers; they have seeds that follow each other.",
    )
    tools = ToolsField(ToolSchema, "Functions that the model may call.")
    tool_choice = ToolChoiceField(
        description="`auto`: the model decides; `required`: it calls one at least; `none`: it "
        "calls none; or the function that it calls. `auto` if absent."
    )
    parallel_tool_calls = Flag(
        description="Let several calls stand in one answer; true if absent, unless a tool is named."
    )
    functions = ToolsField(FunctionSchema, "The older form of `tools`.")
    function_call = FunctionCallField(description="The older form of `tool_choice`.")
    prediction = fields.Nested(
        PredictionSchema,
        allow_none=True,
        metadata={
            "description": "A text that the answer will mostly repeat, such as a file that is "
            'changed a little: `{"type": "content", "content": ...}`. The answer is the same.'
        },
    )
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
    store = Flag(description="Kept and shown with the job; how long is the operator's to say.")
    prompt_cache_key = Text(
        most=512, description="A hint; beginnings are known again by what they say, without it."
    )
    task_type = Text(
        most=64, description="The kind of task, for routing: `code`, `reason`, `quick`, ..."
    )
    orchestration_mode = Text(
        choices=registry.names(),
        description="How several models answer; the service's own mode if absent.",
    )
    compression = Text(
        choices=(COMPRESS, KEEP),
        description="`auto`: where one model answers, old turns that do not fit are shortened; "
        "system messages and the last user's turn never. As INFERENCE_COMPRESSION says if absent.",
    )
    cache = CacheField(
        description="For the semantic cache, where it is on: `no-store`: nothing is looked up and "
        "nothing kept; or `user_specific`, `time_sensitive`: whether the answer is for this user "
        "alone, or holds for a while; `any_temperature`: one that was made before will do, at "
        "whatever temperature."
    )


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
