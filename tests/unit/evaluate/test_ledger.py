"""The ledger: what it keeps, what it forgets, and what it refuses."""

import pytest

from tests.support.fake_service import TASKS
from web.evaluate.asks import Options, alone
from web.evaluate.ledger import Ledger, LedgerAnswer, LedgerError

ASK = alone(TASKS[0], "a", Options())
OTHER = alone(TASKS[1], "a", Options())


def answer(ask, text="1", error=None):
    return LedgerAnswer(ask.digest, "job", text, 10, 5, 0.5, 1, "stop", error)


def test_answers_are_there_after_it_was_opened_again(tmp_path):
    ledger = Ledger.open(tmp_path / "new" / "answers.jsonl")
    ledger.add(ASK, answer(ASK, "\u00e9\n"))
    again = Ledger.open(tmp_path / "new" / "answers.jsonl")
    assert again.get(ASK) == answer(ASK, "\u00e9\n")
    assert not again.lacks(ASK)
    assert again.lacks(OTHER)
    assert again.key(ASK) == ledger.key(ASK)


def test_what_failed_is_asked_again_under_another_key(tmp_path):
    ledger = Ledger.open(tmp_path / "answers.jsonl")
    first = ledger.key(ASK)
    ledger.add(ASK, answer(ASK, "", ("ENGINE_FAILED", "it broke")))
    again = Ledger.open(tmp_path / "answers.jsonl")
    assert again.lacks(ASK)
    assert again.key(ASK) != first
    again.add(ASK, answer(ASK))
    assert not Ledger.open(tmp_path / "answers.jsonl").lacks(ASK)


def test_two_evaluations_have_different_keys(tmp_path):
    first, second = (Ledger.open(tmp_path / name / "answers.jsonl") for name in "ab")
    assert first.key(ASK) != second.key(ASK)


def test_a_line_that_was_cut_off_is_asked_again(tmp_path):
    file = tmp_path / "answers.jsonl"
    ledger = Ledger.open(file)
    ledger.add(ASK, answer(ASK))
    ledger.add(OTHER, answer(OTHER))
    file.write_bytes(file.read_bytes()[:-9])
    again = Ledger.open(file)
    assert not again.lacks(ASK)
    assert again.lacks(OTHER)
    again.add(OTHER, answer(OTHER))
    assert not Ledger.open(file).lacks(OTHER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"questions": 3}\n', "has no answers in it"),
        ("hello\n", "has no answers in it"),
        ('{"evaluation": "x", "version": 9}\n', "is of version 9"),
        ('{"evaluation": "x", "version": 1}\n{"task": 1}\n', "line 2: no answer"),
    ],
)
def test_a_file_that_is_no_ledger_is_left_alone(tmp_path, text, said):
    file = tmp_path / "answers.jsonl"
    file.write_text(text)
    with pytest.raises(LedgerError, match=said):
        Ledger.open(file)
    assert file.read_text() == text


def test_whatever_changes_what_is_asked_changes_its_name():
    asks = [
        ASK,
        OTHER,
        alone(TASKS[0], "b", Options()),
        alone(TASKS[0], "a", Options(max_tokens=8)),
        alone(TASKS[0], "a", Options(temperature=0.0)),
        alone(TASKS[0], "a", Options(), sample=1),
    ]
    assert len({ask.digest for ask in asks}) == len(asks)
