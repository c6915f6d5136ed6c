"""Requests of Anthropic's API and the chat completions that they become."""

import pytest

from web.schemas import completion
from web.schemas.anthropic import translation
from workers.contract.errors import InferenceError, UnsupportedParameter, ValidationFailed
from workers.contract.job import Priority
from workers.contract.tools import ToolChoice

HI = {"role": "user", "content": "Hi"}
LEAST = {"model": "m", "max_tokens": 2000, "messages": [HI]}
READ_FILE = {
    "name": "Read",
    "description": "Reads a file.",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}},
        "required": ["file_path"],
        "additionalProperties": False,
    },
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It says é."}

#: As coding agents send it: a system prompt in blocks that are cached, thoughts that come back, a
#: call, its result, a reminder after it, what is to be kept of thoughts.
OF_AN_AGENT = {
    "model": "m",
    "max_tokens": 32000,
    "stream": True,
    "temperature": 1,
    "metadata": {"user_id": "user_1_account__session_2"},
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [
        {"type": "text", "text": "You are an agent."},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "tools": [READ_FILE],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is in /a?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I look.", "signature": "x"},
                {"type": "text", "text": "I read it."},
                CALL,
            ],
        },
        {
            "role": "user",
            "content": [
                {**RESULT, "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "<system-reminder>Go on.</system-reminder>"},
            ],
        },
    ],
}


def translated(**fields):
    return translation.of_messages({**LEAST, **fields}, 100)


def turns(*contents):
    """Messages of user and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": said} for at, said in enumerate(contents)]


def test_an_agents_request():
    made = translation.of_messages(OF_AN_AGENT, 100)
    assert made.body == {
        "model": "m",
        "max_tokens": 32000,
        "stream": True,
        "temperature": 1,
        "user": "user_1_account__session_2",
        "chat_template_kwargs": {
            "enable_thinking": True,
            "thinking": True,
            "reasoning_effort": "high",
        },
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "Read",
                    "description": "Reads a file.",
                    "parameters": READ_FILE["input_schema"],
                },
            }
        ],
        "messages": [
            {"role": "system", "content": "You are an agent.\nBe brief."},
            {"role": "user", "content": "What is in /a?"},
            {
                "role": "assistant",
                "content": "I read it.",
                "reasoning_content": "I look.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "Read", "arguments": '{"file_path": "/a"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "It says é."},
            {"role": "user", "content": "<system-reminder>Go on.</system-reminder>"},
        ],
    }
    assert made.ignored == ("cache_control",)
    assert made.relaxed == ("thinking.budget_tokens chooses the effort and bounds nothing",)
    asked = completion.load(made.body, Priority.NORMAL, most_messages=100)
    assert (asked.stream, asked.sampling.max_tokens, len(asked.messages)) == (True, 32000, 5)


def test_turns_of_one_role_are_one_and_a_last_one_of_the_assistant_goes_on():
    said = [HI, {"role": "user", "content": "Again."}, {"role": "assistant", "content": "Ah"}]
    body = translated(messages=said).body
    assert body["messages"] == [
        {"role": "user", "content": "Hi\nAgain."},
        {"role": "assistant", "content": "Ah"},
    ]
    assert body["continue_final_message"] is True


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Read"}, {"type": "function", "function": {"name": "Read"}}),
    ],
)
def test_whether_a_tool_is_called(choice, said):
    body = translated(tools=[READ_FILE], tool_choice=choice).body
    assert body["tool_choice"] == said
    alone = {**choice, "disable_parallel_tool_use": True}
    body = translated(tools=[READ_FILE], tool_choice=alone).body
    asked = completion.load(body, Priority.NORMAL, most_messages=9)
    assert not asked.tools.parallel
    assert asked.tools.choice in ToolChoice


@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        ({}, None),
        ({"thinking": {"type": "adaptive"}}, {"enable_thinking": True, "thinking": True}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}),
        (
            {"thinking": {"type": "disabled"}},
            {"enable_thinking": False, "thinking": False, "reasoning_effort": "none"},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"},
        ),
    ],
)
def test_what_the_template_is_told_of_thinking(fields, variables):
    assert translated(**fields).body.get("chat_template_kwargs") == variables


def test_other_fields():
    made = translated(
        stop_sequences=["END"],
        top_k=5,
        top_p=0.5,
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
        thinking={"type": "adaptive", "display": "omitted"},
        priority=3,
    )
    asked = completion.load(made.body, Priority.NORMAL, most_messages=9)
    assert (asked.sampling.stop, asked.sampling.top_k, asked.priority) == (("END",), 5, 3)
    assert asked.sampling.constraint.source == {"type": "object"}
    assert (made.ignored, made.shows_thoughts) == (("cache_control",), False)


def test_a_tool_that_failed_says_so():
    said = turns("Hi", [CALL], [{**RESULT, "content": "no such file", "is_error": True}])
    assert translated(messages=said).body["messages"][-1]["content"] == "Error: no such file"


def test_a_count_has_what_the_prompt_has():
    counted = translation.of_count({**OF_AN_AGENT, "tool_choice": {"type": "none"}}, 100)
    assert {*counted} == {"model", "messages", "chat_template_kwargs"}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


@pytest.mark.parametrize(
    ("fields", "param", "kind"),
    [
        ({"max_tokens": None}, "max_tokens", ValidationFailed),
        ({"max_tokens": 0}, "max_tokens", ValidationFailed),
        ({"messages": []}, "messages", ValidationFailed),
        ({"messages": [HI] * 101}, "messages", ValidationFailed),
        ({"messages": [{**HI, "role": "system"}]}, "messages.0.role", ValidationFailed),
        ({"messages": turns([3])}, "messages.0.content.0", ValidationFailed),
        ({"messages": turns([{"type": "text"}])}, "messages.0.content.0.text", ValidationFailed),
        ({"messages": turns([IMAGE])}, "messages.0.content.0", UnsupportedParameter),
        ({"messages": turns([CALL])}, "messages.0.content.0", UnsupportedParameter),
        ({"messages": turns("Hi", [CALL])}, "messages.1.content.0", ValidationFailed),
        ({"messages": turns("Hi", [CALL], "?")}, "messages.1.content.0", ValidationFailed),
        ({"messages": turns([RESULT])}, "messages.0.content.0.tool_use_id", ValidationFailed),
        (
            {"messages": turns("Hi", [CALL], [{"type": "text", "text": "?"}, RESULT])},
            "messages.2.content.1",
            ValidationFailed,
        ),
        (
            {"messages": turns("Hi", [CALL], [{**RESULT, "content": [IMAGE]}])},
            "messages.2.content.0.content.0",
            UnsupportedParameter,
        ),
        ({"messages": turns("Hi", [CALL, CALL])}, "messages.1.content.1.id", ValidationFailed),
        ({"system": [IMAGE]}, "system.0", UnsupportedParameter),
        ({"system": 3}, "system", ValidationFailed),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens", ValidationFailed),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "thinking.budget_tokens",
            ValidationFailed,
        ),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools.0.name", ValidationFailed),
        ({"tools": [{"name": "a"}]}, "tools.0.input_schema", ValidationFailed),
        ({"tools": [{**READ_FILE, "defer_loading": True}]}, "tools.0.defer_loading", None),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type", None),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name", ValidationFailed),
        ({"container": "c"}, "container", UnsupportedParameter),
        ({"mcp_servers": [{}]}, "mcp_servers", UnsupportedParameter),
        ({"stop_sequence": ["x"]}, "stop_sequence", ValidationFailed),
        ({"context_management": {"edits": [{"type": "x"}]}}, "context_management", None),
    ],
)
def test_what_is_wrong_or_not_here_is_named(fields, param, kind):
    with pytest.raises(kind or UnsupportedParameter) as refused:
        translated(**fields)
    assert refused.value.details["param"] == param
    assert param in refused.value.message


def test_what_the_chat_completion_refuses_has_its_place_in_the_request():
    schema = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
    made = translated(tools=[{**READ_FILE, "input_schema": schema, "strict": True}])
    with pytest.raises(InferenceError) as refused:
        completion.load(made.body, Priority.NORMAL, most_messages=9)
    error = translation.PLACES.renamed(refused.value)
    assert error.details["param"] == "tools.0.input_schema"
    assert error.message.startswith("tools.0.input_schema ")


def test_another_version_is_refused():
    translation.require_version(None)
    translation.require_version("2023-06-01")
    translation.require_version("2026-10-21")
    with pytest.raises(ValidationFailed, match="2023-06-01"):
        translation.require_version("2024-01-01")
