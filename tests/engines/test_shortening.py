"""A text shortened by the shipped model, as between two steps: what holds however well it does."""

import pytest

from orchestration.context import facts
from tests.support.compressor import Compressor

SYSTEM = "Every depot has a gate code of five digits. Lisbon is closed until 14 March 2026."
TEXT = """\
I went through everything that was said about the depots, twice, and thought about it for a while.
The gate code of the Lisbon depot is 48213, and Lisbon is closed until 14 March 2026, as was told.
Then somebody asked about the lamp, which was broken, and about the lunch, which was late again.
The gate code of the Oslo depot is 77120. We decided that Oslo takes what Lisbon cannot take.
After that everybody talked of the rain for an hour, and nothing else was settled on that day."""


@pytest.mark.timeout(600)
def test_a_text_is_shorter_and_keeps_what_it_must_or_stays_as_it_was(real_engine, real_kit):
    """One pass: it is taken or refused, for a reason that is no fault of its form."""
    compressor = Compressor(real_engine, real_kit.spec())
    (whole,) = compressor.counter.count_texts(real_kit.spec().id, [TEXT])
    made = compressor.shorten(TEXT, whole // 2, system=SYSTEM, passes=1)
    (problem,) = made.problems
    if problem is not None:
        assert made.text == TEXT
        because = ("invents", "loses", "is", "repeats", "says nothing", "was cut off")
        assert problem.startswith(tuple(f"it {each}" for each in because))
        return
    assert facts.numbers(made.text) <= facts.numbers(TEXT, SYSTEM)
    kept = [fact for fact in facts.facts(SYSTEM) if facts.stands(fact, TEXT)]
    assert "14 March 2026" in kept
    assert all(facts.stands(fact, made.text) for fact in kept)
