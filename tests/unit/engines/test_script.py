"""Scripts in requests: found anywhere in the last message, by model and by step."""

import json

import pytest

from workers.contract.job import Message
from workers.engines.base import GenerationRequest
from workers.engines.script import asked

SCRIPT = {
    "text": "for all",
    "models": {"m": {"text": "for the model", "tokens_per_s": 5}},
    "steps": {"draft": {"text": "for the step"}, "draft.2": {"text": "for its second try"}},
}


def request(content, step="answer"):
    return GenerationRequest(f"chatcmpl-1|{step}", (Message("user", content),))


@pytest.mark.parametrize(
    ("model", "step", "text"),
    [
        ("other", "answer", "for all"),
        ("m", "answer", "for the model"),
        ("m", "draft", "for the step"),
        ("m", "draft.2", "for its second try"),
        ("other", "draft.3", "for the step"),
    ],
)
def test_what_is_nearest_to_the_step_counts(model, step, text):
    script = asked(request(f"Before {json.dumps({'scripted': SCRIPT})} and after.", step), model)
    assert script["text"] == text
    assert script.get("tokens_per_s") == (5 if model == "m" else None)
    assert not {"models", "steps"} & set(script)


@pytest.mark.parametrize(
    "content",
    ["", "hello", '{"scripted": 1}', '{"scripted": ', '{"scripted": {"a": ' + "[" * 5000],
)
def test_what_is_no_script_says_nothing(content):
    assert asked(request(content), "m") == {}


def test_parts_that_are_no_objects_are_passed_over():
    content = json.dumps(
        {"scripted": {"text": "x", "models": 1, "steps": {"answer": 2}, "turns": 3}}
    )
    assert asked(request(content), "m") == {"text": "x"}


def test_each_answer_after_the_question_has_a_turn_of_its_own():
    turns = [{"text": "a call"}, {"text": "the answer"}]
    content = json.dumps({"scripted": {"tokens_per_s": 5, "turns": turns}})
    messages = [Message("assistant", "before"), Message("user", content)]
    texts = []
    for _ in range(3):
        script = asked(GenerationRequest("chatcmpl-1|answer", tuple(messages)), "m")
        assert script.keys() == {"tokens_per_s", "text"}
        texts.append(script["text"])
        messages += [Message("assistant", script["text"]), Message("tool", "sunny")]
    assert texts == ["a call", "the answer", "the answer"]
