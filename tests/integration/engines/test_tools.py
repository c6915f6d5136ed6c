"""Calls of tools: what every engine makes of them, and how they hold the shipped model."""

import dataclasses
import json

import jsonschema_rs
import pytest

from tests.integration.engines.conftest import ask, ask_all
from tests.support.constraints import json_schema
from tests.support.tools import ADD, CALL, WEATHER, arguments, calls, offered
from workers.contract.errors import UnsupportedParameter
from workers.contract.job import Message
from workers.engines.base import GenerationRequest

SCHEMAS = {tool.name: tool.parameters for tool in (WEATHER, ADD)}
#: A conversation after which the model calls a tool by itself, in its own form of calls.
SUMS = ((2, 3), (4, 4), (10, 7), (1, 8), (30, 12))


def script(text, **fields):
    return (Message("user", json.dumps({"scripted": {"text": text, "token_bytes": 3, **fields}})),)


def request(kit, tools, text=CALL, seed=0, **sampling):
    """A request that offers tools; a scripted engine says the text."""
    asked = Message("user", "What is the weather in Köln?")
    messages = (asked,) if kit.real else script(text)
    made = kit.request(messages=messages, **{"max_tokens": 200, "seed": seed, **sampling})
    return dataclasses.replace(made, id=f"job-{seed}|answer", tools=tools)


def assert_calls(answer, names=tuple(SCHEMAS)):
    """The answer is calls that obey their schemas, and nothing else."""
    assert answer.reason == "tool_calls"
    assert answer.text == ""
    made = arguments(answer.deltas)
    assert made
    for name, given in made:
        assert name in names
        assert jsonschema_rs.is_valid(SCHEMAS[name], given), given


@pytest.mark.usefixtures("sense")
def test_a_call_that_is_required_comes(kit, engine):
    answer = ask(engine, request(kit, offered("required")))
    assert_calls(answer)
    (first, *_) = calls(answer.deltas)
    assert first[0]
    assert answer.usage.completion_tokens == len(answer.ids)


@pytest.mark.usefixtures("sense")
def test_a_named_tool_is_the_one_that_is_called(kit, engine):
    text = '{"name": "add", "arguments": {"a": 1, "b": 2}}'
    answer = ask(engine, request(kit, offered("named", "add"), text))
    assert_calls(answer, ["add"])


@pytest.mark.usefixtures("sense")
def test_arguments_come_in_pieces_and_the_name_once(kit, engine):
    deltas = ask(engine, request(kit, offered("required", parallel=False))).deltas
    parts = [part for delta in deltas for part in delta.calls]
    assert parts[0].id
    assert parts[0].name
    assert all(not part.id and not part.name for part in parts[1:])
    assert len(parts) > 3


@pytest.mark.usefixtures("sense")
def test_a_call_that_is_cut_is_cut(kit, engine):
    whole = ask(engine, request(kit, offered("required")))
    limit = len(whole.ids) - 3
    answer = ask(engine, request(kit, offered("required"), max_tokens=limit))
    assert answer.reason == "length"
    assert len(answer.ids) == limit


@pytest.mark.usefixtures("sense")
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_arguments_survive_a_crash_in_their_middle(kit, engine, temperature):
    asked = request(kit, offered("required"), temperature=temperature)
    whole = ask(engine, asked)
    first, *_ = calls(whole.deltas)
    cuts = range(1, len(whole.ids), 7 if kit.real else 2)
    for cut in cuts:
        deltas, ids = [], 0
        for delta in whole.deltas[:-1]:
            if ids + len(delta.token_ids) > cut:
                break
            deltas.append(delta)
            ids += len(delta.token_ids)
        rest = ask(engine, dataclasses.replace(asked, produced=whole.ids[:ids]))
        again = dataclasses.replace(whole, deltas=[*deltas, *rest.deltas])
        assert_calls(again)
        assert calls(again.deltas)[0][0] == first[0]
        if not kit.real:
            assert calls(again.deltas) == calls(whole.deltas)


@pytest.mark.usefixtures("sense")
def test_stop_strings_do_not_end_a_call(kit, engine):
    answer = ask(engine, request(kit, offered("required"), stop=('"', "a", ":")))
    assert_calls(answer)


def test_a_text_stays_a_text_where_a_tool_may_be_called(kit, engine):
    asked = request(kit, offered(), "Just {a} text, with [brackets].\n", max_tokens=40)
    answer = ask(engine, asked)
    assert answer.text
    assert answer.reason in ("stop", "length")
    assert calls(answer.deltas) == []


def test_tools_that_may_not_be_called_change_nothing(kit, engine):
    asked = request(kit, None, max_tokens=20)
    answer = ask(engine, dataclasses.replace(asked, tools=offered("none")))
    assert answer.text == ask(engine, asked).text
    assert calls(answer.deltas) == []


# What only an engine without a model does.


@pytest.fixture
def scripted(shared_kit):
    if shared_kit.real:
        pytest.skip("of the scripted engine")
    return shared_kit


def test_content_before_calls_is_kept_and_several_are_numbered(scripted, engine):
    text = f"Let me see.\n<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{CALL}\n</tool_call>"
    made = request(scripted, offered())
    answer = ask(engine, dataclasses.replace(made, messages=script(text, calls="hermes")))
    assert answer.text.strip() == "Let me see."
    assert [name for name, _ in arguments(answer.deltas)] == ["get_weather"] * 2
    assert len({id_ for id_, _, _ in calls(answer.deltas)}) == 2
    assert answer.reason == "tool_calls"


def test_what_is_no_call_is_told_with_a_note(scripted, engine):
    text = '{"name": "nobody", "arguments": {}}'
    answer = ask(engine, request(scripted, offered(), text))
    assert (answer.text, answer.reason) == (text, "stop")
    assert "nobody" in " ".join(answer.deltas[-1].notes)
    assert not any(delta.notes for delta in answer.deltas[:-1])


def test_a_script_without_a_call_does_not_do_where_one_is_required(scripted, engine):
    for tools in (offered("required"), offered("named", "add")):
        with pytest.raises(UnsupportedParameter) as refused:
            ask(engine, request(scripted, tools, "no call"))
        assert refused.value.details["param"] == "tool_choice"
    form = json_schema({"type": "object"})
    assert_calls(ask(engine, request(scripted, offered(), constraint=form)))


# What only an engine with a model does.


def sums(kit, question="What is 5 and 6?", **sampling):
    """A conversation in which every question was answered by a call."""
    messages = []
    for number, (a, b) in enumerate(SUMS):
        text = json.dumps({"a": a, "b": b})
        call = {
            "id": str(number),
            "type": "function",
            "function": {"name": "add", "arguments": text},
        }
        messages += [
            Message("user", f"What is {a} and {b}?"),
            Message("assistant", tool_calls=(call,)),
            Message("tool", str(a + b), tool_call_id=str(number)),
            Message("assistant", f"It is {a + b}."),
        ]
    made = kit.request(
        messages=(*messages, Message("user", question)), **{"max_tokens": 100, **sampling}
    )
    return dataclasses.replace(made, id=f"job-{sampling.get('seed')}|answer", tools=offered())


@pytest.mark.usefixtures("sense")
def test_a_model_that_opens_a_call_is_held_from_there(real_kit, real_engine):
    answers = ask_all(
        real_engine, [sums(real_kit, temperature=1.0, seed=seed) for seed in range(12)]
    )
    called = [answer for answer in answers if answer.reason == "tool_calls"]
    assert called
    for answer in called:
        assert_calls(answer)
    assert all(answer.reason in ("tool_calls", "stop", "length") for answer in answers)


@pytest.mark.usefixtures("sense")
def test_what_an_earlier_attempt_opened_is_held(real_kit, real_engine):
    """Whatever the model would say: it is asked for something else, at a high temperature."""
    begun = '{"name": "get_weather", "arguments": {"ci'
    vocabulary = real_engine._vocabulary
    token_ids = getattr(vocabulary, "plain", None) or vocabulary.tokenize
    for at in range(len('{"name": "get_weather'), len(begun), 3):
        produced = tuple(token_ids(begun[:at]))
        asked = GenerationRequest(
            "id",
            (Message("user", "Tell me a story."),),
            real_kit.request(temperature=1.5, seed=at, max_tokens=200).sampling,
            produced=produced,
            tools=offered(),
        )
        answer = ask(real_engine, asked)
        before = begun[:at].partition('"arguments": ')[2]
        if at == len('{"name": "get_weather'):
            continue  # free: the name has not ended
        made = "".join(part.arguments for delta in answer.deltas for part in delta.calls)
        assert jsonschema_rs.is_valid(WEATHER.parameters, json.loads(before + made)), (
            begun[:at],
            made,
        )
        assert answer.reason == "tool_calls"


@pytest.mark.usefixtures("sense")
def test_content_follows_the_format_or_a_tool_is_called(real_kit, real_engine):
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    form = json_schema({**schema, "additionalProperties": False})
    requests = [
        sums(real_kit, temperature=1.0, seed=seed, constraint=form, max_tokens=150)
        for seed in range(4)
    ]
    for answer in ask_all(real_engine, requests):
        if answer.reason == "tool_calls":
            assert_calls(answer)
        elif answer.reason == "stop":
            assert jsonschema_rs.is_valid(form.source, json.loads(answer.text))
