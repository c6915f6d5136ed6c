"""`/v1/responses` over HTTP and with the official client, on the scripted engine."""

import json

import httpx
import openai
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import await_end
from tests.support.waiting import wait_for

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
ENDLESS = {"repeat": True, "tokens_per_s": 50}


def script(**fields):
    return json.dumps({"scripted": fields})


@pytest.fixture(scope="module")
def client(scripted_service):
    with scripted_service.openai() as client:
        yield client


def create(client, said=None, **fields):
    said = script(text="one two") if said is None else said
    return client.responses.create(model=MODEL, input=said, **fields)


def numbers(events):
    return [event.sequence_number for event in events]


def test_a_response_is_kept_and_goes_on(scripted_service, client):
    first = create(client, instructions="Be brief.", metadata={"a": "b"})
    assert (first.status, first.output_text) == ("completed", "one two")
    assert (first.instructions, first.metadata) == ("Be brief.", {"a": "b"})
    assert first.usage.output_tokens == 2
    assert client.responses.retrieve(first.id).output_text == "one two"
    second = create(client, script(text="three"), previous_response_id=first.id)
    assert second.output_text == "three"
    assert second.previous_response_id == first.id
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [item.role for item in items.data] == ["user", "assistant"]
    assert items.data[1].content[0].text == "one two"
    assert [item.role for item in items] == ["user", "assistant", "user"]
    jobs = [entry["id"] for entry in scripted_service.get("/v1/jobs").json()["data"]]
    assert {first.id, second.id} <= {*jobs}
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError, match=first.id):
        create(client, previous_response_id=first.id)
    assert create(client, previous_response_id=second.id).status == "completed"


def test_what_is_not_stored_cannot_be_asked_for(client):
    answer = create(client, store=False)
    assert answer.output_text == "one two"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_a_stream_can_be_read_again_from_any_event(client):
    events = list(create(client, stream=True))
    assert numbers(events) == [*range(len(events))]
    assert events[-1].type == "response.completed"
    response = events[-1].response
    assert response.output_text == "one two"
    again = list(client.responses.retrieve(response.id, stream=True, starting_after=3))
    assert again == events[4:]
    beyond = {"stream": True, "starting_after": len(events)}
    with pytest.raises(openai.BadRequestError, match="starting_after"):
        client.responses.retrieve(response.id, **beyond)


def test_tools(client):
    said = [{"role": "user", "content": script(turns=[{"text": CALL}, {"text": "Sunny."}])}]
    first = create(client, said, tools=[TOOL])
    (call,) = first.output
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "get_weather",
        {"city": "Paris"},
    )
    with pytest.raises(openai.UnprocessableEntityError, match=call.call_id):
        create(client, "And?", previous_response_id=first.id, tools=[TOOL])
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    last = create(client, [result], previous_response_id=first.id, tools=[TOOL])
    assert last.output_text == "Sunny."
    reference = {"type": "item_reference", "id": call.id}
    referring = create(client, [*said, reference, result], tools=[TOOL])
    assert referring.output_text == "Sunny."
    whole = create(client, [*said, call, result], tools=[TOOL], store=False)
    assert whole.output_text == "Sunny."


def test_in_the_background(scripted_service, client):
    asked = create(client, background=True)
    assert asked.status in ("queued", "in_progress", "completed")
    await_end(scripted_service, asked.id)
    assert client.responses.retrieve(asked.id).output_text == "one two"
    streamed = list(create(client, background=True, stream=True))
    assert [event.type for event in streamed[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert streamed[-1].response.output_text == "one two"


def test_a_background_response_outlives_its_reader_and_is_cancelled(client):
    stream = create(client, script(**ENDLESS), background=True, stream=True)
    first = next(iter(stream))
    stream.close()
    response_id = first.response.id
    wait_for(lambda: client.responses.retrieve(response_id).output, 60)
    with pytest.raises(openai.UnprocessableEntityError, match="running"):
        create(client, previous_response_id=response_id)
    assert client.responses.cancel(response_id).status == "cancelled"
    assert client.responses.cancel(response_id).status == "cancelled"
    last = list(client.responses.retrieve(response_id, stream=True))[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "cancelled")
    client.responses.delete(response_id)


def test_a_failure_and_a_cut_answer(client):
    # In the background: else a failure that comes with the first token is the request's status.
    fails = script(text="one two", fail_after=1)
    failed = list(create(client, fails, stream=True, background=True))[-1]
    assert (failed.type, failed.response.error.code) == ("response.failed", "ENGINE_FAILED")
    cut = create(client, max_output_tokens=1)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_preset_by_its_name(client):
    asked = client.responses.create(model="preset:demo-consistency", input=script(text="fine"))
    assert asked.orchestration["mode"] == "ensemble"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/responses/compact", 404, "NOT_SUPPORTED"),
        ("POST", "/v1/conversations", 404, "NOT_SUPPORTED"),
        ("GET", "/v1/responses/nobody", 404, "JOB_NOT_FOUND"),
        ("GET", "/v1/responses/{id}?starting_after=1", 422, "VALIDATION_ERROR"),
        ("GET", "/v1/responses/{id}?stream=yes", 422, "VALIDATION_ERROR"),
        ("GET", "/v1/responses/{id}/input_items?limit=0", 422, "VALIDATION_ERROR"),
        ("GET", "/v1/responses/{id}/input_items?after=x", 422, "VALIDATION_ERROR"),
    ],
)
def test_wrong_addresses_and_queries(scripted_service, client, method, path, status, code):
    path = path.format(id=create(client).id)
    answer = httpx.request(method, f"{scripted_service.url}{path}", timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_chat_completion_is_no_response(scripted_service):
    job_id = scripted_service.post(scripted_service.ask()).json()["id"]
    assert scripted_service.get(f"/v1/responses/{job_id}").status_code == 404
