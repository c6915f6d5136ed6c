"""What in a text is the answer, and when two of them are equal."""

import time

import pytest

from orchestration.modes import agreement
from orchestration.modes.agreement import Voter
from orchestration.modes.answer_kinds import Kind, read


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (Kind.NUMBER, ["42", "42.0", "**42**", "42.", "+42"]),
        (Kind.NUMBER, ["1,000", "1000", "$1,000", "1e3", "1000 euros"]),
        (Kind.NUMBER, ["4", "2 + 2 = 4", "It is 4.", "The answer is 4.", "Answer: 4"]),
        (
            Kind.NUMBER,
            ["First 3, then 1 more.\nThe answer is 4.", "...\n#### 4", r"so $\boxed{4}$"],
        ),
        (Kind.NUMBER, ["1/2", "0.5", "5e-1"]),
        (Kind.NUMBER, ["-3", "\u22123"]),
        (Kind.NUMBER, ["4 km", "4", "4 km."]),
        (Kind.CHOICE, ["B", "(B)", "B)", "B.", "B) London", "The answer is B.", "Answer: (B)"]),
        (Kind.CHOICE, ["Long thought.\n\nFinal answer: B", "Option B"]),
        (
            Kind.JSON,
            ['{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1}', '```json\n{"a":1,"b":[2]}\n```'],
        ),
        (Kind.SHORT, ["Paris", "paris.", "**Paris**", "It is Paris.", "The answer is: Paris"]),
        (Kind.SHORT, ["the Eiffel Tower", "Eiffel  tower!", "It's the Eiffel Tower."]),
        (Kind.TEXT, ["One and the same long sentence.", "one and the same  long sentence"]),
    ],
)
def test_equal_answers(kind, texts):
    read_kind, values = read(texts)
    assert read_kind is kind
    assert len(set(values)) == 1, values


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (Kind.NUMBER, ["42", "-42"]),
        (Kind.NUMBER, ["5 km", "5 miles"]),
        (Kind.NUMBER, ["1.5", "15"]),
        (Kind.CHOICE, ["A", "B"]),
        (Kind.SHORT, ["Paris", "not Paris"]),
        (Kind.SHORT, ["42", "forty-two"]),
        (Kind.JSON, ['{"a": 1}', '{"a": true}']),
        (Kind.JSON, ['{"a": "x"}', '{"a": "X"}']),
        (Kind.TEXT, ["A cat sat on the mat today.", "B"]),
        (Kind.TEXT, ["The capital is Paris, on the Seine.", "Paris"]),
        (Kind.TEXT, ["1. Go north.\n2. Go east.", "Go north, then east; that is all."]),
    ],
)
def test_different_answers(kind, texts):
    read_kind, values = read(texts)
    assert read_kind is kind
    assert len(set(values)) == len(texts), values


@pytest.mark.parametrize(
    "text", ["(" * 50_000, "a " * 25_000, "1" * 50_000, "[" * 50_000, "= " * 20]
)
def test_nothing_is_slow_to_read(text):
    before = time.process_time()
    read([text, text + "b"])
    assert time.process_time() - before < 5  # a pattern that backtracks takes hours


def voters(*texts):
    return [Voter(f"member-{at}", f"m{at}", text) for at, text in enumerate(texts, start=1)]


def test_a_vote_has_a_score_groups_and_dissent():
    compared = agreement.compare(voters("4", "It is 5.", "4.0"))
    assert compared.to_dict() == {
        "method": "exact",
        "kind": "number",
        "score": 0.667,
        "clusters": [
            {"steps": ["member-1", "member-3"], "models": ["m1", "m3"], "answer": "4"},
            {"steps": ["member-2"], "models": ["m2"], "answer": "It is 5"},
        ],
        "dissent": [{"step": "member-2", "model": "m2", "answer": "It is 5"}],
    }


def test_of_groups_alike_the_first_leads():
    compared = agreement.compare(voters("5", "4"))
    assert compared.leaders == (0,)
    assert compared.score == 0.5


def test_texts_that_differ_need_a_judge_and_equal_ones_none():
    assert (
        agreement.compare(voters("One long sentence it is.", "Another long sentence is it."))
        is None
    )
    assert agreement.compare(
        voters("One long sentence it is.", "One long sentence it is")
    ).unanimous


def test_one_answer_agrees_with_nobody():
    compared = agreement.compare(voters("4"))
    assert (compared.method, compared.score) == ("none", None)
    assert "score" not in compared.to_dict()
    assert compared.to_dict()["problem"]
