"""What a model is told of tools where its template knows none."""

import pytest

from tests.support.tool_transcripts import NOW, TOOLS, WEATHER, read
from workers.contract.job import Message
from workers.contract.tools import ToolChoice, Tools
from workers.engines.tool_calls.prompt import as_text, instructions
from workers.engines.tool_calls.registry import families

JSON = families()["json"]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
TIME = {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}}
HISTORY = (
    Message("user", "Weather?"),
    Message("assistant", "I look.", tool_calls=(CALL, TIME)),
    Message("tool", "sunny", tool_call_id="call_1"),
    Message("tool", "noon", tool_call_id="call_2"),
    Message("assistant", "Sunny."),
)


def test_it_lists_the_tools_and_shows_the_form():
    told = instructions(JSON, Tools((WEATHER, NOW)))
    assert '{"name": "get_weather", "description": "The weather of a city.", "para' in told
    assert '\n{"name": "a_function", "arguments": {"a_parameter": "a value"}}\n' in told
    assert "To call several at once:" in told
    assert "several" not in instructions(JSON, Tools((NOW,), parallel=False))
    assert instructions(JSON, Tools((NOW,), ToolChoice.NONE)) == ""


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (ToolChoice.AUTO, "only where you need it"),
        (ToolChoice.REQUIRED, "Call a function now."),
        (ToolChoice.NAMED, "Call now now."),
    ],
)
def test_it_says_when_to_call(choice, says):
    told = instructions(JSON, Tools((NOW,), choice, "now"))
    assert says in told.splitlines()[-1]


@pytest.mark.parametrize("family", families().values(), ids=list(families()))
def test_the_form_that_is_shown_is_the_one_that_is_read(family):
    told = instructions(family, Tools((NOW,)))
    tools = Tools((type(NOW)("a_function"),))
    form = told.partition("in just this form:\n")[2].partition("\n\nTo call several")[0]
    assert read(family, [form], tools).calls == (("a_function", '{"a_parameter": "a value"}'),)


def test_a_conversation_as_text():
    turns = as_text(HISTORY, JSON, TOOLS)
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    assert turns[0].content == instructions(JSON, TOOLS)
    assert not any(turn.tool_calls or turn.tool_call_id for turn in turns)
    assert turns[2].content.startswith("I look.\n\n[{")
    assert [name for name, _ in read(JSON, [turns[2].content]).calls] == ["get_weather", "now"]
    assert turns[3].content == "Result of get_weather:\nsunny\n\nResult of now:\nnoon"


def test_instructions_stand_after_the_callers_system_message():
    turns = as_text((Message("system", "Be brief."), *HISTORY), JSON, TOOLS)
    assert turns[0].content == f"Be brief.\n\n{instructions(JSON, TOOLS)}"


def test_without_tools_only_the_history_is_written():
    turns = as_text(HISTORY, JSON, None)
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant"]


def test_a_plain_conversation_stays_as_it_is():
    plain = [Message("user", "Hi"), Message("assistant", "Hello")]
    assert as_text(plain, JSON, None) == plain
