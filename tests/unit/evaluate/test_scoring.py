"""What texts answer, and what is right."""

import pytest

from web.evaluate.scoring import answer_of, is_right
from web.evaluate.tasks import Task
from web.evaluate.voting import majority


def task(kind, answer, **more):
    return Task("t", "?", kind, answer, **more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("42", "42"),
        ("It is 42.", "42"),
        ("The answer is 42, since 40 + 2 is 42 and 7 is not.", "42"),
        ("7 + 5 = 12\n\nThis is how 7 and 5 are added.", "12"),
        ("15 + 27 = 42, and 42 - 10 = 32", "32"),
        ("First 3, then 4.\n#### 1,234", "1234"),
        ("**Answer:** $4.50", "4.5"),
        ("\\boxed{-7}", "-7"),
        ("\u22123", "-3"),
        ("42.0", "42"),
        ("100", "100"),
        ("6.02e3", "6020"),
        ("0.0", "0"),
        ("none of it", None),
        ("", None),
    ],
)
def test_numbers(text, said):
    assert answer_of(task("number", 42), text) == said


def test_numbers_are_compared_by_value():
    assert is_right(task("number", 4.5), "4.50")
    assert is_right(task("number", 0.1), "0.1")
    assert not is_right(task("number", 42), "43")
    assert not is_right(task("number", 42), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("B", "b"),
        ("(B)", "b"),
        ("B) dolphin", "b"),
        ("**B**", "b"),
        ("The answer is B.", "b"),
        ("The correct answer is: (C) because A) is a fish", "c"),
        ("A dolphin is a mammal, so B.", "b"),
        ("I think it is D", "d"),
        ("Not A) but C)", "c"),
        ("a dolphin", None),
        ("Because", None),
    ],
)
def test_letters_stand_alone(text, said):
    assert answer_of(task("choice", "B"), text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes.", "yes"),
        ("no", "no"),
        ("No, it is not; yes would be wrong.", "no"),
        ("I cannot know that, not now", None),
        ("The answer is no.", "no"),
    ],
)
def test_words_may_be_chosen(text, said):
    assert answer_of(task("choice", "yes", choices=("yes", "no")), text) == said


def test_exact_and_contains():
    exact = task("exact", ["Leeds", "the city of Leeds"])
    assert is_right(exact, answer_of(exact, "  LEEDS. "))
    assert is_right(exact, answer_of(exact, "City of Leeds"))
    assert not is_right(exact, answer_of(exact, "It is in Leeds"))
    contains = task("contains", "Rome")
    assert is_right(contains, answer_of(contains, "The capital is **Rome**."))
    assert not is_right(contains, answer_of(contains, "Romeo and Juliet"))
    assert answer_of(contains, "...") is None


def test_json_is_found_in_what_stands_around_it():
    wanted = task("json", {"name": "Ben", "age": 31})
    for text in (
        '{"age": 31, "name": "Ben"}',
        'Here it is:\n```json\n{"name": "Ben", "age": 31}\n```\nBye {',
    ):
        assert is_right(wanted, answer_of(wanted, text))
    for text in ('{"name": "Ben", "age": "31"}', "Ben, 31", '{"name": "Ben"', ""):
        assert not is_right(wanted, answer_of(wanted, text))
    assert is_right(task("json", [1, 2]), answer_of(task("json", [1, 2]), "[1,2]"))
    assert is_right(task("json", 5), answer_of(task("json", 5), "5"))


def test_the_majority_stands_and_of_two_the_first():
    assert majority(["a", "b", "b"]) == 1
    assert majority(["a", "b"]) == 0
    assert majority([None, "b"]) == 1
    assert majority([None, None, "c", None]) == 2
    assert majority([None, None]) == 0
    with pytest.raises(ValueError, match="no answer to vote on"):
        majority([])
