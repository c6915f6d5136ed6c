"""`POST /v1/responses`: OpenAI's newer API, answered at once or in the background."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response

from orchestration.submit import Attached
from web import intake
from web.operation import Answer, Component, Operation, describe
from web.render.answer_form import AnswerForm
from web.render.response import input_items, output, response_stream
from web.render.response.response_stream import ResponseStream
from web.routes import response_reading
from web.routes.completions import ANSWERING, respond
from web.schemas.bounds import Bounds, bounded
from web.schemas.completion import Completion
from web.schemas.refusals import invalid
from web.schemas.response import items, translation
from web.schemas.response.components import RESPONSE
from web.schemas.response.response_schema import ResponseSchema
from web.schemas.response.translation import Translated
from web.services import services
from workers.contract import errors
from workers.contract.errors import InferenceError
from workers.contract.job import JobState

blueprint = Blueprint("responses", __name__)

_STREAM = """\
id: 5
event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":5,"output_index":0,\
"item_id":"msg_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33_0","content_index":0,"delta":" capital",\
"logprobs":[]}

"""
#: Responses whose items one request may refer to, and the events of all of them together: the log
#: of each is read, at 20 to 60 microseconds an event.
MOST_REFERENCED, MOST_REFERENCED_EVENTS = 256, 100_000
#: Their conversations, which are read with them, have so many characters together, in bodies of
#: INFERENCE_MAX_BODY_MB.
_REFERENCED_BODIES = 4
_FORM = AnswerForm(response_stream.whole, ResponseStream)


@blueprint.post("/v1/responses")
@describe(
    Operation(
        operation_id="createResponse",
        tag="Responses",
        summary="Answer in the form of OpenAI's Responses API, also in the background.",
        description=(
            "Takes what OpenAI's endpoint takes. It is the same request as a chat completion; "
            "what is not there and would change the answer is refused by its name. With "
            "`background: true` it is a job: its response comes at once, and its end can be "
            "awaited, or read from any event on, at `GET /v1/responses/{response_id}`. See "
            "[RESPONSES.md](RESPONSES.md) for fields, and for what `store` keeps."
        ),
        parameters=(intake.IDEMPOTENCY_KEY,),
        request=Component(
            "ResponseRequest",
            ResponseSchema,
            example={"model": "smollm2-135m", "input": "What is the capital of France?"},
        ),
        answers={
            200: Answer(
                "The response; with `stream`, its events as server-sent events.",
                RESPONSE,
                stream=_STREAM,
            )
        },
        errors=(*ANSWERING, errors.JobNotFound, errors.DeadlineUnreachable),
    )
)
@bounded(Bounds())
def create() -> Response:
    """Answer, whole or as a stream, or take it to be answered in the background."""
    asked = translation.of_response(intake.read_body(), services().settings.max_messages)
    try:
        completion = _completion(asked)
        return _in_background(completion) if asked.background else respond(completion, _FORM)
    except InferenceError as error:
        raise translation.PLACES.renamed(error) from None


def _completion(asked: Translated) -> Completion:
    before, said = _conversation(asked.previous_id)
    chat = asked.chat(before, said, _referenced(items.references(asked.input)))
    items.require_small(chat["messages"], services().settings.max_body_mb * 2**20)
    completion = intake.read(chat, asynchronous=asked.background, endpoint="responses")
    relaxed = tuple(map(translation.PLACES.of, completion.relaxed))
    return replace(
        completion,
        stream=asked.stream,
        ignored=asked.ignored,
        relaxed=relaxed,
        response=asked.shown,
    )


def _conversation(response_id: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The messages of a response that goes on, and its output items.

    Raises:
        JobNotFound: there is none that is kept for this key.
        ValidationFailed: it has not ended well.
    """
    if response_id is None:
        return [], []
    record = intake.own_response(response_id, "previous_response_id")
    if record.state is not JobState.COMPLETED:
        raise invalid(
            "previous_response_id",
            f"is of a response that is {record.state.value}; one that is completed goes on",
        )
    job = record.job
    events = services().jobs.events(job.id)
    return input_items.conversation(job), response_stream.whole(job, events)["output"]


def _referenced(ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The output items of these ids, as far as they are kept for this key.

    Raises:
        ValidationFailed: they are of too many responses, or of too long ones.
    """
    responses = {response_id for each in ids if (response_id := output.response_of(each))}
    if len(responses) > MOST_REFERENCED:
        raise invalid(
            "input", f"refers to items of more than {MOST_REFERENCED} responses: send the items"
        )
    kept: dict[str, dict[str, Any]] = {}
    events = MOST_REFERENCED_EVENTS
    characters = _REFERENCED_BODIES * services().settings.max_body_mb * 2**20
    for response_id in responses:
        with contextlib.suppress(errors.JobNotFound):
            record = intake.own_response(response_id)
            job = record.job
            events -= record.last_seq
            characters -= sum(len(turn.content or "") for turn in job.messages)
            if min(events, characters) < 0:
                raise invalid(
                    "input", "refers to items of responses that are too long together: send them"
                )
            whole = response_stream.whole(job, services().jobs.events(job.id))
            kept |= {item["id"]: item for item in whole["output"]}
    return kept


def _in_background(asked: Completion) -> Response:
    """Take a response in; nothing that its caller does to the connection ends it."""
    submitter = services().submitter
    with contextlib.ExitStack() as closing:
        if asked.stream:  # a refusal after it has begun would leave it to nobody
            closing.enter_context(services().thread())
        taken = submitter.accept(intake.job(asked, asynchronous=True), asked.idempotency)
        if not isinstance(taken, Attached):
            submitter.start(taken)
        record = intake.own_response(taken.job.id)
        if asked.stream:
            response = response_reading.stream(record, -1, closing.pop_all())
        else:
            response = response_reading.show(record)
    if isinstance(taken, Attached):
        response.headers["Idempotent-Replayed"] = "true"
    intake.note(asked, taken.job, response)
    return response
