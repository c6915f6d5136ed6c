"""`/v1/messages`: Anthropic's API, on the same models."""

from __future__ import annotations

import functools
from dataclasses import replace

import flask
from flask import Blueprint, Response

from orchestration.modes import registry
from orchestration.routing import resolve
from web import intake
from web.operation import Answer, Component, Operation, describe, header
from web.render.answer_form import AnswerForm
from web.render.anthropic import message
from web.render.anthropic.message_stream import MessageStream
from web.routes.completions import ANSWERING, respond
from web.schemas import tokenizing
from web.schemas.anthropic import translation
from web.schemas.anthropic.message_schema import CountSchema, MessagesSchema
from web.schemas.anthropic.responses import COUNT, MESSAGE
from web.schemas.bounds import Bounds, bounded
from web.schemas.tokenizing import TEXT_BOUNDS
from web.services import services
from workers.contract import errors
from workers.contract.errors import InferenceError

blueprint = Blueprint("messages", __name__)

_ASK = {
    "model": "smollm2-135m",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
REQUEST = Component("MessagesRequest", MessagesSchema, example=_ASK)
COUNT_REQUEST = Component(
    "CountTokensRequest",
    CountSchema,
    example={name: value for name, value in _ASK.items() if name != "max_tokens"},
)
VERSION = header(
    "anthropic-version",
    "The version of that API; all of them have the same answers here.",
    {"type": "string", "enum": [*translation.VERSIONS]},
)
_STREAM = """\
id: 3
event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" capital"}}

"""


@blueprint.post("/v1/messages")
@describe(
    Operation(
        operation_id="createMessage",
        tag="Messages",
        summary="Answer a conversation in the form of Anthropic's API.",
        description=(
            "Takes what Anthropic's endpoint takes, with `x-api-key` or as `Authorization: "
            "Bearer`. It is the same request as a chat completion; what is not there and would "
            "change the answer is refused by its name. Errors have that API's form and statuses: "
            "see [MESSAGES.md](MESSAGES.md).\n\n"
            "With `stream: true` the message comes as typed server-sent events, from "
            "`message_start` to `message_stop`. A failure after the first is an event `error`."
        ),
        parameters=(VERSION, intake.IDEMPOTENCY_KEY),
        request=REQUEST,
        answers={
            200: Answer(
                "The message; with `stream`, its events as server-sent events.",
                MESSAGE,
                stream=_STREAM,
            )
        },
        errors=ANSWERING,
    )
)
@bounded(Bounds())
def create() -> Response:
    """Answer a conversation, whole or as a stream."""
    translation.require_version(flask.request.headers.get("anthropic-version"))
    asked = translation.of_messages(intake.read_body(), services().settings.max_messages)
    form = AnswerForm(
        functools.partial(message.whole, shows_thoughts=asked.shows_thoughts),
        functools.partial(
            MessageStream, shows_thoughts=asked.shows_thoughts, request_id=flask.g.request_id
        ),
    )
    try:
        completion = intake.read(asked.body, endpoint="messages")
        relaxed = (*asked.relaxed, *map(translation.PLACES.of, completion.relaxed))
        return respond(replace(completion, ignored=asked.ignored, relaxed=relaxed), form)
    except InferenceError as error:
        raise translation.PLACES.renamed(error) from None


@blueprint.post("/v1/messages/count_tokens")
@describe(
    Operation(
        operation_id="countMessageTokens",
        tag="Messages",
        summary="How many tokens a conversation has, in the form of Anthropic's API.",
        description=(
            "They are those of the whole prompt that the model's chat template makes, tools "
            "included, as `usage` counts them. The model need not be loaded. Of a preset its lead "
            "counts."
        ),
        parameters=(VERSION,),
        request=COUNT_REQUEST,
        answers={200: Answer("The count.", COUNT)},
        errors=(
            errors.MalformedJSON,
            errors.PayloadTooLarge,
            errors.ValidationFailed,
            errors.UnsupportedParameter,
            errors.ModelNotFound,
            errors.TemporaryResource,
            errors.NoWorker,
        ),
    )
)
@bounded(TEXT_BOUNDS)
def count_tokens() -> Response:
    """How many tokens a conversation has."""
    translation.require_version(flask.request.headers.get("anthropic-version"))
    most = services().settings.max_messages
    body = translation.of_count(intake.read_body(), most)
    catalogue = services().catalogue
    if preset := resolve.preset(body["model"], catalogue):
        body["model"] = registry.classes()[preset.mode].lead_of(preset)
    try:
        call, _ = tokenizing.tokenize(body, most)
        spec = resolve.resolve(call.model, catalogue)
        with services().tokenizing():
            (count,) = services().tokenizer.call(replace(call, model=spec.id)).counts
    except InferenceError as error:
        raise translation.PLACES.renamed(error) from None
    return flask.jsonify(input_tokens=count)
