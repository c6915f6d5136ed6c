"""`POST /v1/completions`: what goes on after a caller's own whole prompt."""

from __future__ import annotations

from flask import Blueprint, Response

from web import intake
from web.operation import Answer, Component, Operation, describe
from web.routes.completions import ANSWERING, respond
from web.schemas.bounds import bounded
from web.schemas.responses import TEXT_COMPLETION
from web.schemas.text_schema import BOUNDS, TextSchema
from workers.contract.job import Api

blueprint = Blueprint("text_completions", __name__)

REQUEST = Component(
    "TextCompletionRequest",
    TextSchema,
    example={"model": "smollm2-135m", "prompt": "The capital of France is", "max_tokens": 8},
)
_STREAM = """\
id: 2
data: {"id":"cmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33","object":"text_completion",\
"created":1790000000,"model":"smollm2-135m",\
"choices":[{"text":" Paris","index":0,"logprobs":null,"finish_reason":null}]}

"""


@blueprint.post("/v1/completions")
@describe(
    Operation(
        operation_id="createCompletion",
        tag="Completions",
        summary="Go on after a prompt, whole or as a stream.",
        description=(
            "Takes what OpenAI's older endpoint takes. The prompt is the caller's own whole one: "
            "no chat template is applied, special tokens in it are read as such unless "
            "`parse_special` is false, and what a model thinks is text. It is a text, a list of "
            "texts, a list of token ids, or a list of such lists; each prompt has `n` answers, in "
            "order, 64 of all together at most.\n\n"
            "With `suffix` the answer fills the gap between prompt and suffix, where the model "
            "knows how: `GET /v1/models` has `fim` among its capabilities.\n\n"
            "One model answers; a running preset of another mode is left out of it. Streams, "
            "cancelling, jobs and Idempotency-Key are as with chat completions; as a job, send the "
            "body to `POST /v1/jobs`."
        ),
        parameters=(intake.IDEMPOTENCY_KEY,),
        request=REQUEST,
        answers={
            200: Answer(
                "The answer; with `stream`, its parts as server-sent events.",
                TEXT_COMPLETION,
                stream=_STREAM,
            )
        },
        errors=ANSWERING,
    )
)
@bounded(BOUNDS)
def create() -> Response:
    """Go on after a prompt, whole or as a stream."""
    return respond(intake.read(api=Api.TEXT))
