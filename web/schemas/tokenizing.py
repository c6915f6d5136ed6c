"""What is asked of the tokenizer: the bodies of `/v1/tokenize` and `/v1/detokenize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from web.schemas import messages, template_options, tools, unknown_parameters
from web.schemas.bounds import Bounds
from web.schemas.fields import Flag, Items, JsonField, Text
from web.schemas.lenient import LenientSchema
from web.schemas.messages import MessageSchema
from web.schemas.refusals import invalid
from web.schemas.token_fields import TokenId
from web.schemas.tools import ToolSchema, ToolsField
from workers.contract.job import TemplateOptions
from workers.contract.tokenizing import TokenizerCall

#: Nothing is answered, so that no context bounds a text. It is tokenised in one call, since no cut
#: through it is exact with every vocabulary; the call takes a second on a slow core at worst (half
#: a mebibyte of spaces or of random letters; prose 0.4 s). The longest context in the catalogue,
#: 131,072 tokens of prose, is as long.
MOST_TEXT = 2**19
TEXT_BOUNDS = Bounds(bytes=2 * 2**20, string_bytes=MOST_TEXT)
#: Ids are values: somewhat more than twice the longest context in the catalogue.
MOST_IDS = 300_000
IDS_BOUNDS = Bounds(bytes=4 * 2**20, nodes=MOST_IDS + 100)

_MODEL = "A model's id or alias; if absent, the first loaded one, else the first of the service's."


class TokenIds(JsonField[tuple[int, ...]]):
    """A list of token ids; whether the model has them is for its tokenizer to say."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise ValidationError("must be a list of token ids")
        if len(value) > MOST_IDS:
            raise ValidationError(f"must have at most {MOST_IDS} token ids")
        for place, item in enumerate(value):
            if type(item) is not int or not 0 <= item <= TokenId.MOST:
                raise ValidationError(
                    {place: [f"must be a token id, a whole number from 0 to {TokenId.MOST}"]}
                )
        return tuple(value)

    def _json_schema(self) -> dict[str, Any]:
        id_ = {"type": "integer", "minimum": 0, "maximum": TokenId.MOST}
        return {"type": "array", "items": id_, "maxItems": MOST_IDS}


class TokenizeSchema(LenientSchema):
    """A prompt or a conversation whose tokens are asked for."""

    model = Text(least=1, most=200, description=_MODEL)
    prompt = Text(description="A whole prompt, special tokens in it read as such.")
    messages = Items(
        fields.Nested(MessageSchema),
        allow_none=True,
        validate=validate.Length(min=1),
        metadata={"description": "A conversation, which the model's chat template renders."},
    )
    add_special_tokens = Flag(
        description="Begin a prompt with the token that the model's texts begin with, if it has "
        "one; true if absent. Of a conversation the template decides."
    )
    add_generation_prompt = Flag(
        description="End a conversation where the assistant begins to answer; true if absent."
    )
    continue_final_message = Flag(
        description="End it with the last message, which is the assistant's and goes on."
    )
    chat_template_kwargs = fields.Dict(
        allow_none=True,
        metadata={"description": "Variables of the model's chat template."},
    )
    tools = ToolsField(ToolSchema, "Functions that the model is shown, with a conversation.")


class DetokenizeSchema(LenientSchema):
    """Token ids whose text is asked for."""

    model = Text(least=1, most=200, description=_MODEL)
    tokens = TokenIds(required=True, description="Token ids of this model.")


#: What goes with a conversation alone.
_OF_MESSAGES = (
    "add_generation_prompt",
    "continue_final_message",
    "chat_template_kwargs",
    "tools",
)
_TOKENIZE, _DETOKENIZE = TokenizeSchema(), DetokenizeSchema()


def tokenize(body: Mapping[str, Any], most_messages: int) -> tuple[TokenizerCall, list[str]]:
    """What a body with a model asks to tokenise, and the names of parameters that change nothing.

    `most_messages` is INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: a field is missing or wrong, or not both of two go together; names it.
        UnsupportedParameter: it asks for what is not there.
    """
    known, ignored = unknown_parameters.sort_out(body, _TOKENIZE.fields)
    messages.require_few(known.get("messages"), most_messages)
    data = _TOKENIZE.read(known)
    model, prompt, given = data["model"], data.get("prompt"), data.get("messages")
    if prompt is not None and given is not None:
        raise invalid("prompt", "does not go with messages: send one of both")
    if given is None:
        if prompt is None:
            raise invalid("prompt", "is missing: send prompt or messages")
        for name in _OF_MESSAGES:
            if data.get(name):
                raise invalid(name, "goes only with messages")
        add_special = data.get("add_special_tokens") is not False
        return TokenizerCall(model, prompt=prompt, add_special=add_special), ignored
    if data.get("add_special_tokens"):
        raise invalid("add_special_tokens", "goes only with prompt: the chat template adds its own")
    conversation = messages.read(given)
    offered, _ = tools.read(data)
    options: TemplateOptions = template_options.read(data, conversation)
    return TokenizerCall(model, conversation, options, offered), ignored


def detokenize(body: Mapping[str, Any]) -> tuple[TokenizerCall, list[str]]:
    """The ids whose text a body with a model asks for, and parameters that change nothing.

    Raises:
        ValidationFailed: as `tokenize`.
        UnsupportedParameter: as `tokenize`.
    """
    known, ignored = unknown_parameters.sort_out(body, _DETOKENIZE.fields)
    data = _DETOKENIZE.read(known)
    return TokenizerCall(data["model"], token_ids=data["tokens"]), ignored
