"""Requests of the Responses API and the chat completions that they become."""

import pytest

from web.render.response import output
from web.schemas import completion
from web.schemas.response import items, translation
from workers.contract.errors import (
    InferenceError,
    PayloadTooLarge,
    UnsupportedParameter,
    ValidationFailed,
)
from workers.contract.job import Priority

HI = {"role": "user", "content": "Hi"}
SHELL = {
    "type": "function",
    "name": "shell",
    "description": "Runs a command.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}
CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "shell",
    "arguments": '{"command":"ls"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "a b"}

#: As coding agents send it: instructions, the machine told by a developer, a call and its output,
#: thoughts that come back, nothing stored.
OF_AN_AGENT = {
    "model": "m",
    "instructions": "You are an agent.",
    "input": [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "The shell is bash."}],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List."}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "I list."}],
            "encrypted_content": None,
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Now.", "annotations": []}],
        },
        {**CALL, "id": "fc_1", "status": "completed"},
        OUTPUT,
    ],
    "tools": [SHELL],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "text": {"verbosity": "low"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}


def translated(**fields):
    return translation.of_response({"model": "m", "input": "Hi", **fields}, 100)


def test_an_agents_request():
    made = translation.of_response(OF_AN_AGENT, 100)
    body = made.chat()
    assert body == {
        "model": "m",
        "store": False,
        "reasoning_effort": "medium",
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "shell",
                    "description": "Runs a command.",
                    "parameters": SHELL["parameters"],
                    "strict": False,
                },
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "messages": [
            {"role": "system", "content": "You are an agent."},
            {"role": "developer", "content": "The shell is bash."},
            {"role": "user", "content": "List."},
            {
                "role": "assistant",
                "content": "Now.",
                "reasoning_content": "I list.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "shell", "arguments": '{"command":"ls"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "a b"},
        ],
    }
    assert (made.stream, made.store, made.background) == (True, False, False)
    assert made.ignored == (
        "prompt_cache_key",
        "include.reasoning.encrypted_content",
        "reasoning.summary",
        "text.verbosity",
    )
    asked = completion.load(body, Priority.NORMAL, most_messages=100)
    assert (len(asked.messages), asked.store) == (5, False)


def test_a_text_and_what_holds_the_answer():
    schema = {"type": "object", "properties": {}}
    made = translated(
        instructions=None,
        max_output_tokens=9,
        top_logprobs=2,
        truncation="auto",
        text={"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}},
        metadata={"a": "b"},
        background=True,
        priority=0,
        webhook="https://example.com/",
    )
    asked = completion.load(made.chat(), Priority.NORMAL, most_messages=9, asynchronous=True)
    assert [(turn.role, turn.content) for turn in asked.messages] == [("user", "Hi")]
    assert (asked.sampling.max_tokens, asked.sampling.logprobs) == (9, 2)
    assert (asked.compression, asked.priority, asked.store) == ("auto", 0, True)
    assert asked.sampling.constraint.source == schema
    assert made.shown["truncation"] == "auto"


def test_what_goes_on_stands_before_the_input():
    before = [{"role": "user", "content": "List."}]
    said = items.read([OUTPUT], before, [CALL])
    assert [turn["role"] for turn in said] == ["user", "assistant", "tool"]


def test_items_are_referred_to_by_their_ids():
    said = [HI, {"type": "item_reference", "id": "fc_1"}, OUTPUT]
    assert items.references(said) == ["fc_1"]
    roles = [turn["role"] for turn in items.read(said, referenced={"fc_1": CALL})]
    assert roles == ["user", "assistant", "tool"]
    of = "0123456789abcdef" * 2
    assert output.response_of(f"fc_{of}_1") == f"resp_{of}"
    assert output.response_of("fc_1") is None


def test_a_text_is_referred_to_once():
    said = [HI, {"type": "item_reference", "id": "fc_1"}, OUTPUT]
    with pytest.raises(ValidationFailed, match=r"input\.3\.id"):
        items.read([*said, said[1]], referenced={"fc_1": CALL})


def test_a_conversation_that_goes_on_has_a_bound():
    thought = {"role": "assistant", "content": None, "reasoning_content": "abc"}
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [HI, {**thought, "tool_calls": [called]}]
    items.require_small(said, 7)
    with pytest.raises(PayloadTooLarge) as refused:
        items.require_small(said, 6)
    assert refused.value.details["bound"] == "conversation"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("required", "required"),
        (
            {"type": "function", "name": "shell"},
            {"type": "function", "function": {"name": "shell"}},
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "shell"}],
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "shell"}}],
                },
            },
        ),
    ],
)
def test_whether_a_tool_is_called(choice, said):
    body = translated(tools=[SHELL], tool_choice=choice).chat()
    assert body["tool_choice"] == said
    assert completion.load(body, Priority.NORMAL, most_messages=9).tools.tools[0].name == "shell"


IMAGE = {"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}


@pytest.mark.parametrize(
    ("fields", "param", "kind"),
    [
        ({"input": []}, "input", ValidationFailed),
        ({"input": 3}, "input", ValidationFailed),
        ({"input": [HI] * 101}, "input", ValidationFailed),
        ({"input": ["Hi"]}, "input.0", ValidationFailed),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role", ValidationFailed),
        ({"input": [{"role": "user"}]}, "input.0.content", ValidationFailed),
        ({"input": [IMAGE]}, "input.0.content.0", UnsupportedParameter),
        ({"input": [{"type": "mcp_call"}]}, "input.0.type", UnsupportedParameter),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0.id", ValidationFailed),
        ({"input": [HI, CALL]}, "input.1", ValidationFailed),
        ({"input": [OUTPUT]}, "input.0.call_id", ValidationFailed),
        ({"input": [CALL, CALL]}, "input.1.call_id", ValidationFailed),
        ({"input": [{**CALL, "name": 3}]}, "input.0.name", ValidationFailed),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type", UnsupportedParameter),
        ({"tools": [{"type": "function"}]}, "tools.0.name", ValidationFailed),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice", ValidationFailed),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", ValidationFailed),
        ({"background": True, "store": False}, "background", ValidationFailed),
        ({"webhook": "https://example.com"}, "webhook", ValidationFailed),
        ({"conversation": "c"}, "conversation", UnsupportedParameter),
        ({"prompt": {"id": "p"}}, "prompt", UnsupportedParameter),
        ({"max_tokens": 3}, "max_tokens", UnsupportedParameter),
        ({"truncation": "yes"}, "truncation", ValidationFailed),
    ],
)
def test_what_is_wrong_or_not_here_is_named(fields, param, kind):
    with pytest.raises(kind) as refused:
        translated(**fields).chat()
    assert refused.value.details["param"] == param
    assert param in refused.value.message


def test_what_the_chat_completion_refuses_has_its_place_in_the_request():
    schema = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
    made = translated(tools=[{**SHELL, "parameters": schema, "strict": True}])
    with pytest.raises(InferenceError) as refused:
        completion.load(made.chat(), Priority.NORMAL, most_messages=9)
    assert translation.PLACES.renamed(refused.value).details["param"] == "tools.0.parameters"
