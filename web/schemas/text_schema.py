"""The fields of a text completion's body, and of a gap's that is to be filled."""

from __future__ import annotations

from collections.abc import Mapping

from marshmallow import EXCLUDE, fields

from web.schemas.bounds import Bounds
from web.schemas.completion_schema import CompletionSchema, JobFields
from web.schemas.fields import Flag, Items, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.prompts import PromptsField
from workers.contract.job import MOST_CHOICES, Api
from workers.contract.logprobs import MOST_ALTERNATIVES

#: What OpenAI's endpoint gives where `max_tokens` is left out.
DEFAULT_MAX_TOKENS = 16
#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
#: Token ids are values: somewhat more than the longest context of the catalogue.
BOUNDS = Bounds(nodes=150_000)
#: What goes with messages alone.
OF_CHATS = tuple(
    name
    for name in (
        "messages",
        "max_completion_tokens",
        "reasoning_effort",
        "chat_template_kwargs",
        "add_generation_prompt",
        "continue_final_message",
        "top_logprobs",
        "prediction",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "compression",
    )
    if name in CompletionSchema().fields
)
#: What gaps do not have either: llama-server's answer has no place for it.
NOT_OF_GAPS = (*OF_CHATS, "logprobs")
#: What plugins of editors send with every request, and what is done without it here: samplers are
#: in llama.cpp's own order, the answer ends by `n_predict` and comes whole.
OF_EDITORS: Mapping[Api, frozenset[str]] = {
    Api.CHAT: frozenset(),
    Api.TEXT: frozenset(),
    Api.EMBEDDINGS: frozenset(),
    Api.RERANK: frozenset(),
    Api.INFILL: frozenset(
        ("samplers", "t_max_predict_ms", "t_max_prompt_ms", "n_indent", "response_fields")
    ),
}


class TextSchema(CompletionSchema):
    """A text completion: everything of a chat completion that is not about a conversation."""

    class Meta:
        """Marshmallow's options."""

        unknown = EXCLUDE
        exclude = OF_CHATS

    prompt = PromptsField(
        required=True,
        description="What the model reads, whole: a text, several, token ids, or several lists of "
        "them.",
    )
    max_tokens = Whole(
        0,
        _MOST_TOKENS,
        description=f"The most tokens of the answer; {DEFAULT_MAX_TOKENS} if absent.",
    )
    logprobs = Whole(
        0,
        MOST_ALTERNATIVES,
        description="So many of the likeliest tokens with each of the answer; 0: the chosen alone.",
    )
    suffix = Text(description="What comes after the answer, which fills in between.")
    echo = Flag(description="Begin the answer with the prompt.")
    parse_special = Flag(
        description="Read special tokens in the prompt as such; true if absent. Else they are text."
    )
    best_of = Whole(1, MOST_CHOICES, description="Taken where it equals `n`: all are given.")


class TextJobSchema(JobFields, TextSchema):
    """A text completion that runs in the background."""

    class Meta(TextSchema.Meta):
        """Marshmallow's options."""


class ContextFileSchema(LenientSchema):
    """Another file that an editor shows."""

    filename = Text(most=1024)
    text = Text(required=True)


class InfillSchema(CompletionSchema):
    """A gap to fill, as editors' plugins for llama-server send it."""

    class Meta:
        """Marshmallow's options."""

        unknown = EXCLUDE
        exclude = (*NOT_OF_GAPS, "n", "max_tokens", "stream_options")

    model = Text(
        least=1,
        most=200,
        description="A model's id or alias; if absent, the first loaded one that fills gaps.",
    )
    input_prefix = Text(description="What stands before the gap.")
    input_suffix = Text(description="What stands after it.")
    input_extra = Items(
        fields.Nested(ContextFileSchema),
        allow_none=True,
        metadata={"description": "Other files, shown where there is room; the last ones first."},
    )
    prompt = Text(description="How what fills the gap begins; it is not repeated.")
    n_predict = Whole(
        -1, _MOST_TOKENS, description="The most tokens; -1 and absent: as the context has room."
    )
