"""To what an answer is held: its constraint, its calls, or either of the two."""

import json

import pytest
from llguidance import LLMatcher, LLTokenizer

from presets.model import Reasoning
from tests.support.constraints import choice, json_schema, lark, regex
from tests.support.tools import CALL, offered
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.tool_calls import registry

LONG = {"type": "object", "properties": {"long": {"type": "string"}}, "required": ["long"]}


def text_alone(_text):
    return None


def held(constraint=None, family="hermes", **tools):
    calls = Calls(registry.families()[family], offered(**tools), "id") if tools else None
    return AnswerForm(calls=calls).holding(constraint, text_alone)


def follows(form, text):
    matcher = LLMatcher(LLTokenizer("byte"), form.grammar.text, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()


def test_an_answer_without_either_is_free_and_so_is_one_that_may_call():
    assert held().grammar is None
    assert held(choice="auto").grammar is None


@pytest.mark.parametrize("family", ["hermes", "json"])
def test_a_call_that_must_come_holds_the_answer_from_its_beginning(family):
    text = f"<tool_call>\n{CALL}\n</tool_call>" if family == "hermes" else CALL
    form = held(family=family, choice="required")
    assert form.grammar.param == "tool_choice"
    assert follows(form, text)
    assert not follows(form, f"Well. {text}")
    assert not follows(form, text.replace("celsius", "kelvin"))
    named = held(family=family, choice="named", name="add")
    assert not follows(named, text)
    other = text.replace(CALL, '{"name": "add", "arguments": {"a": 1, "b": 2}}')
    assert follows(named, other)


@pytest.mark.parametrize(
    ("constraint", "content"),
    [
        (json_schema(LONG), '{"long": "a"}'),
        (choice("Rome", "Oslo"), "Oslo"),
        (regex("[a-z]+!"), "yes!"),
        (lark('start: "a" b\nb: "b"'), "ab"),
    ],
)
def test_content_follows_the_constraint_or_the_answer_is_a_call(constraint, content):
    form = held(constraint, choice="auto")
    assert form.grammar.param == constraint.param
    assert follows(form, content)
    assert follows(form, f"<tool_call>\n{CALL}\n</tool_call>")
    assert not follows(form, "neither")
    assert not follows(held(constraint, choice="required"), content)
    assert follows(held(constraint), content)
    assert not follows(held(constraint), f"<tool_call>\n{CALL}\n</tool_call>")


def test_a_constraint_that_cannot_be_obeyed_is_refused_by_its_name():
    with pytest.raises(ValidationFailed, match="response_format"):
        held(json_schema([]), choice="auto")


def test_calls_that_a_grammar_cannot_tell_from_content_do_not_go_with_a_constraint():
    whole = [f for f in registry.families().values() if f.grammar_covers_thought]
    for family in whole:
        calls = Calls(family, offered(), "id")
        with pytest.raises(UnsupportedParameter, match=family.name):
            AnswerForm(calls=calls).holding(json_schema(LONG), text_alone)


def test_it_travels_as_json():
    thinks = Reasoning("tags", "<think>", "</think>")
    calls = Calls(registry.families()["hermes"], offered("required"), "id")
    form = AnswerForm(thinks, "<think>\n", calls).holding(None, text_alone)
    assert AnswerForm.from_dict(json.loads(json.dumps(form.to_dict()))) == form
    assert AnswerForm.from_dict(json.loads(json.dumps(AnswerForm().to_dict()))) == AnswerForm()
