"""Tools, as the official client uses them on the shipped model; and every wrong use of them."""

import json

import openai
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import submit

PLACE = {
    "type": "object",
    "properties": {
        "place": {"type": "string", "maxLength": 12},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["place", "unit"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather now.", "parameters": PLACE},
}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": PLACE}}
ASK = {"role": "user", "content": "What is the weather in Oslo?"}
NAMED = {"type": "function", "function": {"name": "get_time"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
#: A call that no limit cuts.
ONE = {"model": MODEL, "max_tokens": 150, "parallel_tool_calls": False}


@pytest.fixture(scope="module")
def client(service):
    with service.openai() as client:
        yield client


def obeys(arguments):
    given = json.loads(arguments)
    return (
        set(given) == {"place", "unit"}
        and len(given["place"]) <= 12
        and given["unit"] in ("celsius", "fahrenheit")
    )


def test_a_loop_ends_with_an_answer(client):
    ask = {**ONE, "tools": [WEATHER, TIME], "seed": 1}
    first = client.chat.completions.create(messages=[ASK], tool_choice="required", **ask).choices[0]
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    (call,) = first.message.tool_calls
    assert call.function.name in ("get_weather", "get_time")
    assert obeys(call.function.arguments)

    result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees, rain"}
    ask |= {"messages": [ASK, first.message, result], "max_tokens": 20}
    last = client.chat.completions.create(tool_choice="none", **ask).choices[0]
    assert last.finish_reason in ("stop", "length")
    assert last.message.content
    assert last.message.tool_calls is None


def test_a_stream_makes_the_call_that_is_named(client):
    ask = {**ONE, "messages": [ASK], "tools": [WEATHER, TIME], "tool_choice": NAMED, "seed": 3}
    (whole,) = client.chat.completions.create(**ask).choices[0].message.tool_calls
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**ask, stream=True)]
    assert chunks[-1].finish_reason == "tool_calls"
    first, *rest = [piece for chunk in chunks for piece in chunk.delta.tool_calls or ()]
    assert (first.index, first.type, first.function.name) == (0, "function", "get_time")
    assert first.id.startswith("call_")
    assert len(rest) > 2
    assert all(piece.id is None and piece.function.name is None for piece in rest)
    arguments = "".join(piece.function.arguments for piece in (first, *rest))
    assert arguments == whole.function.arguments
    assert obeys(arguments)


def test_the_clients_own_helper_reads_a_stream(client):
    ask = {**ONE, "messages": [ASK], "tools": [WEATHER], "tool_choice": "required", "seed": 4}
    with client.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert all(obeys(call.function.arguments) for call in final.message.tool_calls)


def test_the_older_form_is_answered_in_its_own_words(service):
    body = {
        "model": MODEL,
        "messages": [ASK],
        "max_tokens": 150,
        "functions": [WEATHER["function"]],
        "function_call": {"name": "get_weather"},
    }
    choice = service.post(body).json()["choices"][0]
    assert choice["finish_reason"] == "function_call"
    called = choice["message"]["function_call"]
    assert called["name"] == "get_weather"
    assert obeys(called["arguments"])
    answered = {"role": "function", "name": "get_weather", "content": "12 degrees"}
    body |= {"messages": [ASK, choice["message"], answered], "function_call": "none"}
    assert service.post({**body, "max_tokens": 2}).status_code == 200


#: What the scripted engine says of a call, in the form of a model whose template knows no tools.
SAID = '{"name": "get_weather", "arguments": {"place": "Oslo", "unit": "celsius"}}'


def test_a_job_its_events_and_the_terminal_show_its_call(scripted_service):
    job = submit(scripted_service, {"text": SAID}, tools=[WEATHER])
    watched = scripted_service.run("jobs", "watch", job["id"])
    assert watched.stdout == 'get_weather({"place": "Oslo", "unit": "celsius"})\n'
    (choice,) = scripted_service.get(job["status_url"]).json()["result"]["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert obeys(choice["message"]["tool_calls"][0]["function"]["arguments"])
    assert '"calls":[{"index":0,"id":"call_' in scripted_service.get(job["events_url"]).text


def test_what_opened_like_a_call_and_is_none_is_content_and_told_of(scripted_service):
    said = SAID.replace("get_weather", "get_lost")
    answer = scripted_service.post(scripted_service.ask({"text": said}, tools=[WEATHER])).json()
    (choice,) = answer["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", said)
    assert "get_lost" in answer["orchestration"]["note"]


def call_with(arguments):
    function = {"name": "get_weather", "arguments": arguments}
    call = {"id": "c", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result(**message):
    return {"role": "tool", "tool_call_id": "c", "content": "x", **message}


def tool(name="f", **function):
    return {"type": "function", "function": {"name": name, **function}}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": [tool(f"f{n}") for n in range(200)]}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ({"tools": [tool(), tool()]}, "tools.1.function.name"),
        ({"tools": [tool("<|im_end|>")]}, "tools.0.function.name"),
        (
            {"tools": [tool(parameters={"type": "object", "not": {}}, strict=True)]},
            "tools.0.function.parameters",
        ),
        ({"tools": [tool(parameters={"type": "strin"})]}, "tools.0.function.parameters"),
        ({"tools": [tool()], "tool_choice": NAMED}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": [ASK, result()]}, "messages.1.tool_call_id"),
        ({"messages": [ASK, call_with("{}"), result(tool_call_id="d")]}, "messages.2.tool_call_id"),
        ({"messages": [ASK, call_with("{}"), result(content=[IMAGE])]}, "messages.2.content.0"),
        ({"messages": [ASK, call_with(3)]}, "messages.1.tool_calls.0.function.arguments"),
        # A hundred kilobytes are more than this model reads; others take them.
        ({"messages": [ASK, call_with(json.dumps({"a": "x " * 50_000})), result()]}, "messages"),
        ({"tools": [tool()], "orchestration_mode": "critique"}, "tools"),
    ],
)
def test_what_is_wrong_is_a_clear_refusal(client, change, param):
    body = {"model": MODEL, "messages": [ASK], "max_tokens": 4}
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(**body, extra_body=change)
    assert 400 <= refused.value.status_code < 500
    assert refused.value.param == param
    assert len(refused.value.body["message"]) > 10
