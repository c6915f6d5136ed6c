"""Intervals and tests against published values and by their own laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.evaluate.statistics import Change, change, quantile, wilson


def test_wilson_gives_the_published_intervals():
    """Newcombe 1998, table I, method 3: the score interval without continuity correction."""
    for right, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(right, of) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_mirrors(counted):
    right, of = counted
    low, high = wilson(right, of)
    assert 0 <= low <= right / of + 1e-9
    assert right / of - 1e-9 <= high <= 1
    assert wilson(of - right, of) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_what_is_no_share_is_refused():
    for right, of in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="no share"):
            wilson(right, of)


def test_mcnemar_is_the_two_sided_sign_test_of_the_changes():
    assert Change(50, 0, 0).p == 1.0
    assert Change(50, 5, 5).p == 1.0
    assert Change(50, 6, 0).p == pytest.approx(2 / 2**6)
    assert Change(50, 1, 9).p == pytest.approx(2 * (1 + 10) / 2**10)
    assert Change(50, 9, 1).p == Change(50, 1, 9).p


def test_changes_are_counted_by_question():
    before = [True, True, False, False]
    now = [True, False, True, False]
    assert change(before, now) == Change(4, 1, 1)
    with pytest.raises(ValueError, match="shorter"):
        change([True], [])


def test_quantiles_lie_between_neighbours():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.95) == pytest.approx(1.95)
    assert math.isclose(quantile([7.0], 0.5), 7.0)
    with pytest.raises(ValueError, match="no value"):
        quantile([], 0.5)
