"""A model that puts its thoughts between tags, on every engine.

The tags are words that the answer has anyway: greedy, the engine says the same tokens with a form
and without one, so what the form must do to them is known.
"""

import json
import threading

import pytest

from presets.model import Reasoning
from tests.integration.engines.conftest import ask
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import Message
from workers.engines.chat_template.template import CHATML

LENGTH = 32
#: A template that opens a thought, as DeepSeek-R1's does.
OPENS = CHATML.replace("assistant\\n'", "assistant\\n<think>\\n'")
#: The thought ends with its first full stop: the model needs no training for that.
SENTENCE = Reasoning("tags", "<think>", ".")


def thought(answer):
    return "".join(delta.reasoning for delta in answer.deltas)


@pytest.fixture(scope="module")
def plain(shared_kit, engine):
    return ask(engine, shared_kit.request(max_tokens=LENGTH))


@pytest.fixture
def thinker(kit, plain):
    """An engine whose thought is from the fourth to the twelfth letter of the plain answer."""
    return kit.load(reasoning=Reasoning("tags", plain.text[:4], plain.text[12:18]))


@pytest.mark.usefixtures("sense")
def test_thought_and_content_come_apart(kit, plain, thinker):
    answer = ask(thinker, kit.request(max_tokens=LENGTH))
    assert answer.ids == plain.ids
    assert thought(answer) == plain.text[4:12].strip()
    assert answer.text == plain.text[18:].lstrip()
    assert 0 < answer.usage.reasoning_tokens < answer.usage.completion_tokens == LENGTH
    assert answer.reason == "length"


@pytest.mark.usefixtures("sense")
def test_a_stop_string_counts_in_the_content_alone(kit, plain, thinker):
    stop = (plain.text[5:8], plain.text[24:27])
    answer = ask(thinker, kit.request(max_tokens=LENGTH, stop=stop))
    assert thought(answer) == plain.text[4:12].strip()
    content = plain.text[18:].lstrip()
    assert answer.text == min((content.partition(text)[0] for text in stop), key=len)


@pytest.mark.usefixtures("sense")
def test_an_answer_that_is_cut_while_it_thinks_is_empty(kit, plain, thinker):
    whole = ask(thinker, kit.request(max_tokens=LENGTH))
    first = next(i for i, delta in enumerate(whole.deltas) if delta.reasoning)
    answer = ask(thinker, kit.request(max_tokens=first + 1))
    assert answer.text == ""
    assert thought(answer)
    assert answer.reason == "length"


@pytest.mark.usefixtures("sense")
def test_it_goes_on_anywhere_from_its_token_ids(kit, plain, thinker):
    """Also within tags: their state comes from the ids, never from what was logged as text."""
    whole = ask(thinker, kit.request(max_tokens=LENGTH))
    for cut in range(1, LENGTH, 1 if not kit.real else 4):
        rest = ask(thinker, kit.request(max_tokens=LENGTH, produced=whole.ids[:cut]))
        if rest.ids != whole.ids[cut:]:
            continue  # a near tie fell the other way
        begun = whole.deltas[:cut]
        assert "".join(delta.text for delta in begun) + rest.text == whole.text
        assert "".join(delta.reasoning for delta in begun) + thought(rest) == thought(whole)
        assert rest.usage.reasoning_tokens == whole.usage.reasoning_tokens


@pytest.mark.usefixtures("sense")
def test_what_a_cancelled_answer_held_back_comes_once(kit, plain, thinker):
    whole = ask(thinker, kit.request(max_tokens=LENGTH))
    cut = next(i for i, delta in enumerate(whole.deltas) if not delta.text and not delta.reasoning)
    deltas = thinker.generate(kit.request(max_tokens=LENGTH), cancelled := threading.Event())
    begun = [next(deltas) for _ in range(cut + 1)]
    cancelled.set()
    begun += list(deltas)
    ids = tuple(token for delta in begun for token in delta.token_ids)
    rest = ask(thinker, kit.request(max_tokens=LENGTH, produced=ids))
    if ids + rest.ids == whole.ids:
        assert "".join(d.reasoning for d in begun) + thought(rest) == thought(whole)
        assert "".join(d.text for d in begun) + rest.text == whole.text


@pytest.mark.usefixtures("sense")
def test_thinking_is_open_where_the_prompt_ends_with_the_mark(kit):
    script = {"text": "It is so. And so on, and on.", "prompt_end": "<think>\n"}
    messages = None if kit.real else (Message("user", json.dumps({"scripted": script})),)
    engine = kit.load(reasoning=SENTENCE, chat_template=OPENS)
    answer = ask(engine, kit.request(messages=messages, max_tokens=60))
    assert thought(answer)
    assert "." not in thought(answer)
    assert answer.text
    closed = kit.load(reasoning=SENTENCE)
    assert thought(ask(closed, kit.request(max_tokens=LENGTH))) == ""


def test_think_tags_that_are_special_tokens_are_seen(real_kit, llamacpp):
    """As those of gpt-oss: a token without text in any other answer."""
    tags = Reasoning("tags", "<|im_start|>", "<file_sep>")
    engine = real_kit.load(reasoning=tags)
    vocabulary = engine._vocabulary
    said = "<|im_start|>So it is.<file_sep>Yes"
    produced = vocabulary.tokenize(said, add_special=False, parse_special=True)
    assert len(produced) < 10
    assert [llamacpp._vocabulary.piece(token) for token in (produced[0], produced[-2])] == [
        b"",
        b"",
    ]
    answers = [
        ask(engine, real_kit.request(produced=produced[:cut], max_tokens=len(produced) + 4))
        for cut in (len(produced), 2)
    ]
    assert answers[0].usage.reasoning_tokens == len(produced) - 1
    assert thought(answers[0]) == ""
    assert answers[0].text
    assert thought(answers[1]), "the thought goes on"
    assert answers[1].text == ""


@pytest.mark.usefixtures("sense")
@pytest.mark.parametrize("closing", [".", "e"])
def test_a_format_holds_the_content_and_not_the_thought(real_kit, closing):
    """`e` stands in the middle of tokens: one that would begin the content too may not end it."""
    form = Reasoning("tags", "<think>", closing)
    engine = real_kit.load(reasoning=form, chat_template=OPENS)
    request = real_kit.request(constraint=Constraint(ConstraintKind.JSON_OBJECT), max_tokens=120)
    answer = ask(engine, request)
    assert thought(answer)
    assert not thought(answer).startswith("{")
    assert closing not in thought(answer)
    assert answer.text.startswith("{")
    assert answer.reason == "length" or isinstance(json.loads(answer.text), dict)


PERSON = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "kind": {"enum": ["sailor", "guide"]}},
    "required": ["age", "kind"],
    "additionalProperties": False,
}


@pytest.mark.usefixtures("sense")
def test_a_held_answer_that_thinks_goes_on_from_its_token_ids(real_kit):
    """Within the thought, at its end, and within the content."""
    engine = real_kit.load(reasoning=SENTENCE, chat_template=OPENS)
    sampling = {"constraint": Constraint(ConstraintKind.JSON_SCHEMA, PERSON), "max_tokens": 160}
    whole = ask(engine, real_kit.request(**sampling))
    assert whole.reason == "stop"
    begins = next(i for i, delta in enumerate(whole.deltas) if delta.text)
    for cut in (2, begins - 1, begins, begins + 1, begins + 4):
        rest = ask(engine, real_kit.request(**sampling, produced=whole.ids[:cut]))
        begun = "".join(delta.text for delta in whole.deltas[:cut])
        assert set(json.loads(begun + rest.text)) == {"age", "kind"}


def test_a_format_holds_a_model_that_does_not_think(real_kit):
    """Nothing opens a thought: the content begins with the first token."""
    engine = real_kit.load(reasoning=SENTENCE)
    request = real_kit.request(
        constraint=Constraint(ConstraintKind.JSON_SCHEMA, PERSON),
        max_tokens=160,
        temperature=1.5,
        top_k=0,
        top_p=1.0,
        min_p=0.0,
        seed=1,
    )
    answer = ask(engine, request)
    assert thought(answer) == ""
    assert answer.reason == "length" or set(json.loads(answer.text)) == {"age", "kind"}


@pytest.mark.usefixtures("sense")
def test_a_thought_may_not_end_the_turn_of_a_held_answer(real_kit, llamacpp):
    """The model says the end of its turn all the same, and the likeliest other token stands in."""
    ask_one = Message("user", "What is 2 + 2? Answer with one number.")
    form = Reasoning("tags", "<think>", "</think>")
    engine = real_kit.load(reasoning=form, chat_template=OPENS)
    free = ask(engine, real_kit.request(messages=(ask_one,), max_tokens=40))
    held = ask(
        engine,
        real_kit.request(
            messages=(ask_one,), constraint=Constraint(ConstraintKind.JSON_OBJECT), max_tokens=40
        ),
    )
    assert free.text == ""
    assert free.reason == "stop"
    assert held.reason == "length"
    assert held.usage.completion_tokens == 40
