"""Calls of a free answer, held from where they open; on a vocabulary of single bytes."""

import json

import pytest
from llguidance import LLTokenizer

from tests.support.tools import CALL, offered
from workers.contract.tools import Tool, Tools
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.call_hold import CallHold
from workers.engines.constraint_masks import ConstraintMasks
from workers.engines.tool_calls import registry


class Bytes:
    """A vocabulary of the 256 bytes."""

    def piece(self, token):
        return bytes([token]) if token < 256 else b""

    def ends_turn(self, token):
        return token >= 256


@pytest.fixture(scope="module")
def masks():
    made = ConstraintMasks(lambda: LLTokenizer("byte"), threads=2)
    yield made
    made.close()


@pytest.fixture
def hold(masks):
    def made(family="hermes", tools=None):
        calls = Calls(registry.families()[family], tools or offered(), "id")
        return CallHold(Bytes(), masks, AnswerForm(calls=calls), calls)

    return made


def say(hold, text):
    """Take a text as it were sampled: each byte is one that may come."""
    for token in text.encode():
        assert hold.is_ready(10)
        assert hold.mask is None or hold.mask.allows(token), chr(token)
        hold.take(token)
    assert hold.is_ready(10)


def test_an_answer_is_free_until_it_opens_a_call(hold):
    held = hold()
    say(held, 'Some text, a <tool_cal or {"name": "nobody"}. ')
    assert held.mask is None
    say(held, "<tool_call>")
    assert held.mask is not None
    assert not held.mask.allows(ord("x"))
    say(held, f"\n{CALL}\n</tool_call>")
    allowed = {chr(token) for token in held.mask.allowed() if token < 256}
    assert allowed <= set("\n\t\r <"), "another call may come, and no text"


def test_the_schema_holds_the_arguments(hold):
    held = hold()
    say(held, '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome", "unit": "')
    assert {chr(token) for token in held.mask.allowed()} == {"c", "f"}


def test_one_call_alone_where_calls_are_not_parallel(hold):
    held = hold(tools=offered(parallel=False))
    say(held, f"<tool_call>\n{CALL}\n</tool_call>")
    assert not [token for token in held.mask.allowed() if token < 256]


@pytest.mark.parametrize("cut", [5, 20, 31, 60, 100])
def test_it_goes_on_after_what_an_earlier_attempt_produced(hold, cut):
    whole = f"Well. <tool_call>\n{CALL}\n</tool_call>".encode()
    held = hold()
    held.take_all(whole[:cut])
    for token in whole[cut:]:
        assert held.is_ready(10)
        assert held.mask is None or held.mask.allows(token)
        held.take(token)
    assert held.is_ready(10)
    assert held.mask is not None


def test_plain_json_is_held_once_it_names_a_tool(hold):
    held = hold("json")
    say(held, '{"name": "get_weather')
    assert held.mask is None
    say(held, '"')
    assert held.mask is not None
    rest = CALL.removeprefix('{"name": "get_weather"')
    say(held, rest)
    assert json.loads('{"name": "get_weather"' + rest)


class Broken:
    """A family whose grammar is none."""

    name = "broken"
    marks = ("<tool_call>",)
    grammar_covers_thought = False

    def parser(self, tools, id_prefix):
        return registry.families()["hermes"].parser(tools, id_prefix)

    def grammar_after(self, opened, tools, token_of):
        return "start: nothing"


@pytest.mark.parametrize("there", [False, True])
def test_what_cannot_be_held_stays_free(masks, there):
    calls = Calls(Broken(), offered(), "id")
    held = CallHold(Bytes(), masks, AnswerForm(calls=calls), calls)
    if there:
        held.take_all(b"<tool_call> x")
    else:
        say(held, "<tool_call>")
    assert held.is_ready(10)
    assert held.mask is None
    say(held, "anything")


def test_a_mask_is_made_beside_the_decoding(hold):
    """Not on the thread that takes tokens: many tools take a while to compile."""
    properties = {f"p{number}": {"type": "string"} for number in range(20)}
    schema = {"type": "object", "properties": properties}
    many = Tools(tuple(Tool(f"tool_{number}", None, schema) for number in range(64)))
    held = hold(tools=many)
    for token in b"<tool_call>":
        held.take(token)
    assert held.mask.pending is not None
    assert held.is_ready(10)
    say(held, '{"name": "tool_63", "arguments": {"p19": "x"}}')
