"""Budgets: they add up, whatever the context, and every part keeps what makes it of use."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presets.budgets import LEAST, PARTS, Budgets
from presets.catalogue import Catalogue
from presets.kind import Kind
from presets.model import ModelSpec
from tests.support.gguf import gguf

CONTEXTS = st.integers(5, 2**21)
#: What the two models of the table have, and what follows from them.
TABLE = {
    8192: (500, 300, 1500, 2000, 3892),
    16384: (600, 350, 1900, 4000, 9534),
    32768: (700, 400, 2450, 8000, 21218),
    131072: (1000, 500, 4000, 32000, 93572),
}


def parts(budgets):
    return tuple(getattr(budgets, name) for name in PARTS)


@st.composite
def divisions(draw):
    """Any division that adds up."""
    sizes = draw(st.tuples(*[st.integers(1, 100_000)] * len(PARTS)))
    return Budgets(sum(sizes), *sizes)


def test_every_model_that_is_shipped_has_budgets_by_its_context():
    for spec in Catalogue.load(None, "llamacpp").all():
        if spec.kind is Kind.EMBEDDING:
            continue  # nothing of its context is for an answer
        assert spec.described_budgets == spec.budgets == Budgets.of_context(spec.context_length)
        assert parts(spec.budgets) == TABLE[spec.context_length]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((10, 1, 2, 3, 1, 2), r"is 10, and the parts add up to 9: system 1 \+ trajectory 2 \+ "),
        ((10, 0, 3, 3, 2, 2), "at least 1 token"),
        ((10, -5, 8, 3, 2, 2), "at least 1 token"),
    ],
)
def test_parts_that_do_not_add_up_are_none(sizes, message):
    with pytest.raises(ValueError, match=message):
        Budgets(*sizes)


@given(CONTEXTS)
def test_the_pattern_divides_every_context(tokens):
    budgets = Budgets.of_context(tokens)
    assert budgets.total == sum(parts(budgets)) == tokens
    assert min(parts(budgets)) >= 1
    if tokens >= sum(LEAST.values()):
        assert all(getattr(budgets, name) >= least for name, least in LEAST.items())


@given(st.integers(8192, 2**21), st.integers(8192, 2**21))
def test_a_longer_context_gives_no_part_less(one, other):
    short, long = sorted((one, other))
    pairs = zip(parts(Budgets.of_context(short)), parts(Budgets.of_context(long)), strict=True)
    assert all(less <= more for less, more in list(pairs)[:-1])


@given(divisions(), CONTEXTS)
def test_a_scaled_division_adds_up_and_keeps_the_least_of_each_part(budgets, total):
    scaled = budgets.scaled(total)
    assert scaled.total == sum(parts(scaled)) == min(total, budgets.total)
    assert min(parts(scaled)) >= 1
    least = {name: min(getattr(budgets, name), LEAST[name]) for name in PARTS}
    if scaled.total >= sum(least.values()):
        assert all(getattr(scaled, name) >= size for name, size in least.items())
    rounding = len(PARTS) - 1
    for name in PARTS:
        spare = rounding if name == "generation" else 0
        assert getattr(scaled, name) <= getattr(budgets, name) + spare


@given(divisions())
def test_a_context_that_is_there_whole_is_not_scaled(budgets):
    assert budgets.scaled(budgets.total) is budgets
    assert budgets.scaled(budgets.total + 1) is budgets


@pytest.mark.parametrize("tokens", range(5))
def test_a_context_without_room_for_the_parts_is_divided_as_if_it_had(tokens):
    assert parts(Budgets.of_context(tokens or 1)) == (1, 1, 1, 1, 1)


def test_what_a_file_was_trained_on_bounds_the_budgets_of_its_description(tmp_path):
    (tmp_path / "phi-4").mkdir()
    (tmp_path / "phi-4" / "other.gguf").write_bytes(gguf(2048, size=100))
    spec = Catalogue.load(tmp_path, "llamacpp").get("phi-4")
    assert spec.budgets == spec.described_budgets.scaled(2048)
    assert spec.budgets.total == 2048


def test_a_model_without_a_description_has_budgets_too(tmp_path):
    (tmp_path / "mine.gguf").write_bytes(gguf(2048, size=100))
    assert Catalogue.load(tmp_path, "llamacpp").get("mine").budgets == Budgets.of_context(2048)


def test_budgets_are_written_as_the_catalogue_reads_them():
    budgets = Budgets.of_context(8192)
    assert Budgets(**budgets.to_dict()) == budgets
    assert tuple(budgets.to_dict()) == ("total", *PARTS)
    assert dataclasses.asdict(ModelSpec("m", None, 8192).budgets) == budgets.to_dict()
