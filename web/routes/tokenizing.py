"""`/v1/tokenize` and `/v1/detokenize`: a model's own tokens, whether it is loaded or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import flask
from flask import Blueprint, Response

from orchestration.routing import resolve
from presets.kind import Kind
from web.edge import limits
from web.operation import Answer, Component, Operation, describe
from web.render import models as render_models
from web.schemas import tokenizing
from web.schemas.body import read_object
from web.schemas.bounds import bounded
from web.schemas.tokenizing import IDS_BOUNDS, TEXT_BOUNDS, DetokenizeSchema, TokenizeSchema
from web.services import services
from workers.contract import errors
from workers.contract.tokenizing import TokenizerCall
from workers.store.tokenizer_calls import TokenizerReply

blueprint = Blueprint("tokenizing", __name__)

_ERRORS = (
    errors.MalformedJSON,
    errors.PayloadTooLarge,
    errors.ValidationFailed,
    errors.TimeBudgetExceeded,
    errors.UnsupportedParameter,
    errors.ModelNotFound,
    errors.ModelLoadFailed,
    errors.TemporaryResource,
    errors.NoWorker,
)
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}}
TOKENS = Component(
    "Tokens",
    {
        "type": "object",
        "required": ["count", "max_model_len", "tokens"],
        "properties": {
            "count": {"type": "integer", "minimum": 0},
            "max_model_len": {"type": "integer", "minimum": 1},
            "tokens": _IDS,
        },
    },
    example={"count": 5, "max_model_len": 8192, "tokens": [504, 3575, 282, 4649, 314]},
)
DETOKENIZED = Component(
    "Detokenized",
    {
        "type": "object",
        "required": ["prompt"],
        "properties": {"prompt": {"type": "string"}},
    },
    example={"prompt": "The capital of France is"},
)
_TOKENIZE = Operation(
    operation_id="tokenize",
    tag="Tokens",
    summary="The tokens of a prompt or a conversation, with the model's own tokenizer.",
    description=(
        "They are what the model's worker would read: of `messages` the whole prompt that its chat "
        "template makes, as `usage` counts it. The model need not be loaded. `max_model_len` is "
        "the most tokens that one request may use, prompt and answer together; a prompt with more "
        "is counted all the same."
    ),
    request=Component(
        "TokenizeRequest",
        TokenizeSchema,
        example={"model": "smollm2-135m", "prompt": "The capital of France is"},
    ),
    answers={200: Answer("The tokens.", TOKENS)},
    errors=(*_ERRORS, errors.WrongModelKind),
)
_DETOKENIZE = Operation(
    operation_id="detokenize",
    tag="Tokens",
    summary="The text of token ids, special tokens' too.",
    description="The model need not be loaded.",
    request=Component(
        "DetokenizeRequest",
        DetokenizeSchema,
        example={"model": "smollm2-135m", "tokens": [504, 3575, 282, 4649, 314]},
    ),
    answers={200: Answer("The text.", DETOKENIZED)},
    errors=_ERRORS,
)


@blueprint.post("/v1/tokenize")
@describe(_TOKENIZE)
@bounded(TEXT_BOUNDS)
def tokenize() -> Response:
    """The tokens of a prompt or a conversation."""
    call, ignored = tokenizing.tokenize(_body(), services().settings.max_messages)
    spec = resolve.resolve(call.model, services().catalogue)
    if call.messages:
        resolve.require_kind(spec, Kind.GENERATION)
    reply = _ask(replace(call, model=spec.id, wants_ids=True))
    (count,) = reply.counts
    head = {"count": count, "max_model_len": render_models.longest_request(spec)}
    # The ids come as JSON, and are passed on as such: there may be a million.
    written = flask.json.dumps(head)[:-1].encode() + b',"tokens":' + reply.token_ids + b"}"
    return _with_note(Response(written, mimetype="application/json"), ignored)


@blueprint.post("/v1/detokenize")
@describe(_DETOKENIZE)
@bounded(IDS_BOUNDS)
def detokenize() -> Response:
    """The text of token ids."""
    call, ignored = tokenizing.detokenize(_body())
    spec = resolve.resolve(call.model, services().catalogue)
    return _with_note(flask.jsonify(prompt=_ask(replace(call, model=spec.id)).text), ignored)


@blueprint.post("/tokenize")
@describe(
    replace(
        _TOKENIZE,
        operation_id="tokenizeAsInVllm",
        summary="`POST /v1/tokenize`, where vLLM has it.",
    )
)
@bounded(TEXT_BOUNDS)
def tokenize_as_in_vllm() -> Response:
    """The same."""
    return tokenize()


@blueprint.post("/detokenize")
@describe(
    replace(
        _DETOKENIZE,
        operation_id="detokenizeAsInVllm",
        summary="`POST /v1/detokenize`, where vLLM has it.",
    )
)
@bounded(IDS_BOUNDS)
def detokenize_as_in_vllm() -> Response:
    """The same."""
    return detokenize()


def _body() -> dict[str, Any]:
    body = read_object()
    limits.release()
    if body.get("model") is None:
        body["model"] = _default_model()
    return body


def _default_model() -> str:
    """The model of a body that names none: the first loaded one, else the first that is wanted."""
    front_end = services()
    wanted = front_end.wanted()
    return next((model for model in wanted if front_end.directory.serving(model)), wanted[0])


def _ask(call: TokenizerCall) -> TokenizerReply:
    with services().tokenizing():
        return services().tokenizer.call(call)


def _with_note(response: Response, ignored: list[str]) -> Response:
    if ignored:
        response.headers["X-Ignored-Parameters"] = ", ".join(ignored)
    return response
