"""Calls and results that come back in a conversation."""

import json

import pytest

from web.schemas import messages
from web.schemas.completion import load
from workers.contract.errors import InferenceError
from workers.contract.job import Priority

ASK = {"role": "user", "content": "x"}


def call(call_id="call_1", name="weather", arguments='{"place": "Oslo"}', **more):
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **more}


def calls(*given, content=None):
    return {"role": "assistant", "content": content, "tool_calls": list(given)}


def result(call_id="call_1", content="12 degrees"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def read(*turns):
    body = {"model": "m", "messages": [ASK, *turns]}
    return load(body, Priority.NORMAL, most_messages=5000).messages


def refusal(*turns):
    with pytest.raises(InferenceError) as refused:
        read(*turns)
    assert refused.value.code in ("VALIDATION_ERROR", "UNSUPPORTED_PARAMETER")
    return refused.value


def test_a_round_of_calls():
    _, asked, first, second = read(
        calls(call("1"), call("2", "time", "{}")), result("2", "noon"), result("1")
    )
    assert asked.content is None
    assert asked.tool_calls == (call("1"), call("2", "time", "{}"))
    assert (first.tool_call_id, first.name, first.content) == ("2", "time", "noon")
    assert (second.tool_call_id, second.name) == ("1", "weather")


def test_what_templates_do_not_know_is_left_out():
    _, asked = read(calls(call(index=0, extra_content={"google": {}})))
    assert asked.tool_calls == (call(),)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"place": "Oslo"}, '{"place": "Oslo"}'),
        ("", "{}"),
        ('{"place": "Os', '{"place": "Os'),
        ("[1, 2]", "[1, 2]"),
        ("no JSON ]", "no JSON ]"),
    ],
)
def test_arguments_are_text(given, kept):
    _, asked = read(calls(call(arguments=given)))
    assert asked.tool_calls[0]["function"]["arguments"] == kept


def test_a_result_may_be_parts_of_text():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read(calls(call()), result(content=parts))[-1].content == "a\nb"


def test_the_older_form():
    _, asked, answered = read(
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "weather", "arguments": "{}"},
        },
        {"role": "function", "name": "weather", "content": "12 degrees"},
    )
    (called,) = asked.tool_calls
    assert called["function"] == {"name": "weather", "arguments": "{}"}
    assert (answered.role, answered.tool_call_id) == ("tool", called["id"])


def test_long_arguments_are_taken():
    text = json.dumps({"text": "x" * 100_000})
    assert read(calls(call(arguments=text)))[1].tool_calls[0]["function"]["arguments"] == text


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    ("turns", "param", "words"),
    [
        ([result()], "messages.1.tool_call_id", "of no call"),
        ([calls(call("1")), result("2")], "messages.2.tool_call_id", "of no call"),
        ([result("1"), calls(call("1"))], "messages.1.tool_call_id", "of no call"),
        (
            [calls(call()), {"role": "tool", "content": "x"}],
            "messages.2.tool_call_id",
            "is missing",
        ),
        ([calls(call()), result(content=None)], "messages.2.content", "is missing"),
        ([calls(call()), result(content=[IMAGE])], "messages.2.content.0", "image_url"),
        (
            [{"role": "function", "name": "weather", "content": "x"}],
            "messages.1.name",
            "no function",
        ),
        ([{"role": "function", "content": "x"}], "messages.1.name", "is missing"),
        ([calls(3)], "messages.1.tool_calls.0", "must be an object"),
        ([calls({})], "messages.1.tool_calls.0.id", "is missing"),
        ([calls({"id": "1"})], "messages.1.tool_calls.0.function", "is missing"),
        ([calls(call(type="custom"))], "messages.1.tool_calls.0.type", "function"),
        ([calls(call(name=""))], "messages.1.tool_calls.0.function.name", "empty"),
        ([calls(call(arguments=3))], "messages.1.tool_calls.0.function.arguments", "string"),
        ([calls(*[call()] * 129)], "messages.1.tool_calls", "at most 128"),
        (
            [calls(call(arguments='{"a":' + "[" * 100 + "]" * 100 + "}"))],
            "messages.1.tool_calls.0.function.arguments",
            "depth",
        ),
        (
            [calls(call(arguments=r'{"a": "\ud800"}'))],
            "messages.1.tool_calls.0.function.arguments",
            "surrogate",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(turns, param, words):
    refused = refusal(*turns)
    assert refused.details["param"] == param
    assert words in refused.message


def test_all_arguments_together_have_as_many_values_as_a_body():
    many = json.dumps({"a": [0] * 20_000})
    refused = refusal(*[calls(call(arguments=many))] * 6)
    assert refused.details["param"] == "messages.5.tool_calls.0.function.arguments"
    assert "values" in refused.message


def test_names_that_are_let_pass_are_named():
    turns = [{"role": "user", "content": "x", "mood": 1}, calls(call())]
    assert messages.unknown_names(turns) == ["messages.mood"]
