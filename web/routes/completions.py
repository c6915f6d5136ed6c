"""`POST /v1/chat/completions`."""

from __future__ import annotations

import contextlib

import flask
from flask import Blueprint, Response

from web import intake
from web.edge.connection import client_socket
from web.live import request_log
from web.operation import Answer, Component, Operation, describe
from web.render import answer_form, chunks
from web.render.answer_form import AnswerForm
from web.schemas.bounds import bounded
from web.schemas.completion import Completion
from web.schemas.completion_schema import BOUNDS, CompletionSchema
from web.schemas.responses import COMPLETION
from web.services import services
from workers.contract import errors

blueprint = Blueprint("completions", __name__)

REQUEST = Component(
    "ChatCompletionRequest",
    CompletionSchema,
    example={
        "model": "smollm2-135m",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    },
)
#: What may be wrong with an answer that its caller waits for.
ANSWERING = (
    *intake.ERRORS,
    errors.ModelLoading,
    errors.NoWorker,
    errors.QueueFull,
    errors.RequestTimeout,
    errors.EngineFailed,
    errors.OrchestrationFailed,
)
_STREAM = """\
id: 2
data: {"id":"chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33","object":"chat.completion.chunk",\
"created":1790000000,"model":"smollm2-135m",\
"choices":[{"index":0,"delta":{"content":"The"},"logprobs":null,"finish_reason":null}]}

"""


@blueprint.post("/v1/chat/completions")
@describe(
    Operation(
        operation_id="createChatCompletion",
        tag="Chat",
        summary="Answer a conversation, whole or as a stream.",
        description=(
            "Takes what OpenAI's endpoint takes. What is not there and would change the answer is "
            "refused by its name; other names of other servers change nothing and are named in "
            "the header `X-Ignored-Parameters`.\n\n"
            "With `stream: true` the answer comes as server-sent events, each `data:` one chunk, "
            "and ends with `data: [DONE]`. A failure after the first chunk is a `data:` frame with "
            "`error`, and no `[DONE]`.\n\n"
            "The completion's id is its job's id. Closing the connection cancels the job, unless "
            "the request has an Idempotency-Key."
        ),
        parameters=(intake.IDEMPOTENCY_KEY,),
        request=REQUEST,
        answers={
            200: Answer(
                "The answer; with `stream`, its parts as server-sent events.",
                COMPLETION,
                stream=_STREAM,
            )
        },
        errors=ANSWERING,
    )
)
@bounded(BOUNDS)
def create() -> Response:
    """Answer a conversation, whole or as a stream."""
    return respond(intake.read())


def respond(asked: Completion, form: AnswerForm | None = None) -> Response:
    """Answer what is asked for, whole or as a stream; `form` is that of its API if absent."""
    form = form or answer_form.of_api(with_usage=asked.include_usage)
    job = intake.job(asked)
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().open_request())
        connection = client_socket(flask.request.environ)
        completion = closing.enter_context(
            services().live_completions.open(
                job,
                connection,
                asked.idempotency,
                may_share=asked.response is None,
                # A response's job is asked for by its id.
                wishes=asked.cache if asked.response is None else None,
            )
        )
        request_log.current().completion = completion
        if asked.stream:
            response = chunks.respond(
                completion, closing.pop_all(), form.stream, of_steps=asked.include_steps
            )
        else:
            response = flask.jsonify(form.whole(completion.job, completion.answer()))
    if completion.queue_position is not None:
        response.headers["X-Queue-Position"] = str(completion.queue_position)
    if completion.lookup is not None:
        response.headers["X-Cache"] = completion.lookup.word
    if completion.joined:
        response.headers["X-Coalesced"] = "true"
    if completion.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    intake.note(asked, completion.job, response)
    return response
