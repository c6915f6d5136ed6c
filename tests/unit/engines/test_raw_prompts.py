"""A caller's own whole prompt as token ids, by a vocabulary of letters."""

import re

import pytest

from workers.contract.errors import (
    ContextBudgetExceeded,
    UnsupportedParameter,
    ValidationFailed,
)
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.engines.infill import InfillMarks
from workers.engines.raw_prompts import RawPrompts
from workers.engines.time_budget import TimeBudget

BOS, END = 200, 201


class Letters:
    """A letter is its own id; `<s>` and `<e>` are special."""

    size = 202
    longest_piece = 3

    def __init__(self, *, begins=True, marks=None):
        self._begins = begins
        self.infill_marks = marks

    def beginning(self):
        return [BOS] if self._begins else []

    def plain(self, text):
        return [ord(letter) for letter in text]

    def parsed(self, text):
        special = {"<s>": BOS, "<e>": END}
        return [special.get(part) or ord(part) for part in re.findall(r"<[se]>|.", text)]

    def whole_text(self, token_ids):
        return "".join(map(chr, token_ids))


def ids(prompt, *, context_length=50, **vocabulary):
    prompts = RawPrompts("m", Letters(**vocabulary), context_length)
    return prompts.of(prompt, Sampling(), TimeBudget())


def test_special_tokens_are_read_unless_they_are_to_be_text():
    assert ids(Prompt("a<e>")) == [BOS, ord("a"), END]
    assert ids(Prompt("a<e>", parse_special=False)) == [BOS, *map(ord, "a<e>")]


def test_a_text_that_begins_with_the_first_token_gets_no_second():
    assert ids(Prompt("<s>a")) == [BOS, ord("a")]
    assert ids(Prompt("")) == [BOS]
    assert ids(Prompt("a"), begins=False) == [ord("a")]


def test_ids_are_taken_as_they_are():
    assert ids(Prompt(token_ids=(0, END))) == [0, END]


@pytest.mark.parametrize(
    ("prompt", "error", "param"),
    [
        (Prompt(token_ids=(1, 202)), ValidationFailed, "prompt"),
        (Prompt(token_ids=(-1,)), ValidationFailed, "prompt"),
        (Prompt(token_ids=tuple(range(50))), ContextBudgetExceeded, "prompt"),
        (Prompt("a" * 50), ContextBudgetExceeded, "prompt"),
        (Prompt("a" * 10_000_000), ContextBudgetExceeded, "prompt"),
        (Prompt("a", suffix="b"), UnsupportedParameter, "suffix"),
    ],
)
def test_what_a_model_cannot_read_is_refused_by_name(prompt, error, param):
    with pytest.raises(error) as refused:
        ids(prompt)
    assert refused.value.details["param"] == param


def test_nothing_at_all_is_refused():
    with pytest.raises(ValidationFailed, match="empty"):
        ids(Prompt(""), begins=False)


def test_a_gap_fits_into_the_context_where_it_may_be_cut():
    marks = InfillMarks(150, 151, 152)
    prompt = Prompt("a" * 1000, suffix="b" * 1000, may_be_cut=True)
    read = ids(prompt, marks=marks)
    assert len(read) == 25  # half is left for the answer
    assert read[:2] == [BOS, 150]
    with pytest.raises(ContextBudgetExceeded):
        ids(Prompt("a" * 1000, suffix="b"), marks=marks)


def test_what_the_answer_begins_with_is_never_cut():
    marks = InfillMarks(150, 151, 152)
    prompt = Prompt("a", suffix="b", middle="c" * 10_000_000, may_be_cut=True)
    with pytest.raises(ContextBudgetExceeded):
        ids(prompt, marks=marks)


def test_what_is_repeated_is_the_text_or_that_of_the_ids():
    prompts = RawPrompts("m", Letters(), 50)
    assert prompts.text_of(Prompt("<e>a")) == "<e>a"
    assert prompts.text_of(Prompt(token_ids=(97, 98))) == "ab"
