"""How much is drafted: what it promises against what its rows take."""

from types import SimpleNamespace

import numpy as np
import pytest

from workers.engines.llamacpp.drafts import MOST_DRAFTED, MOST_ROWS, STRETCH, Drafts
from workers.engines.llamacpp.prompt_lookup import Draft
from workers.engines.llamacpp.step_times import ROW_SHARE, StepTimes


def answer(chance):
    """A running answer whose drafts are right with this chance, token after token."""

    def next_draft(most):
        return Draft(tuple(range(most)), tuple(chance ** (at + 1) for at in range(most)))

    return SimpleNamespace(next_draft=next_draft)


def planned(pace, *chances, room=1000):
    """Lengths of the drafts of answers with these chances, where a step takes `pace(rows)`."""
    drafts = Drafts(enabled=True)
    for rows in range(1, MOST_ROWS + len(chances) + 1):
        drafts.took(rows, pace(rows))
    return [len(draft.tokens) for draft in drafts.plan([answer(c) for c in chances], room)]


def flat(_rows):
    return 0.02


def slow(rows):
    return 0.02 * rows


def usual(rows):
    return 0.01 * (1 + 0.4 * (rows - 1))


def test_rows_that_cost_nothing_are_all_used():
    assert planned(flat, 0.9) == [MOST_DRAFTED]


def test_nothing_is_drafted_where_each_row_takes_as_long_as_one():
    assert planned(slow, 1.0) == [0]


def test_more_is_drafted_the_surer_it_is():
    unsure, surer, sure = (planned(usual, chance)[0] for chance in (0.3, 0.8, 0.99))
    assert unsure == 0 < surer < sure


def test_a_kernel_that_takes_rows_by_fours_is_given_fours():
    assert planned(lambda rows: 0.01 * -(-rows // 4), 0.7)[0] % 4 == 3


def test_answers_beside_those_that_gain_wait_no_longer_than_promised():
    lengths = planned(usual, 0.99, 0.0, 0.0, 0.0)
    assert usual(4 + sum(lengths)) <= STRETCH * usual(4)
    assert lengths[1:] == [0, 0, 0]


def test_a_full_batch_drafts_nothing():
    assert planned(usual, *[0.8] * 16) == [0] * 16


def test_all_together_draft_a_bounded_number_of_rows():
    assert sum(planned(flat, *[0.99] * 8)) == MOST_ROWS


def test_drafts_leave_the_pool_its_room():
    assert planned(flat, 0.99, room=3) == [3]
    assert planned(flat, 0.99, room=0) == [0]
    assert planned(flat, 0.99, room=-5) == [0]


def test_where_it_is_off_nothing_is_drafted():
    drafts = Drafts(enabled=False)
    assert [draft.tokens for draft in drafts.plan([answer(1.0)], 100)] == [()]
    assert drafts.most_rows == 0


def seconds(times, *rows):
    return times.of(np.array(rows)).tolist()


def test_times_that_were_not_seen_lie_on_a_line_with_those_that_were():
    times = StepTimes()
    assert seconds(times, 1, 3) == [1, 1 + 2 * ROW_SHARE]
    times.took(1, 0.01)
    assert seconds(times, 1, 11) == pytest.approx([0.01, 0.01 * (1 + 10 * ROW_SHARE)])
    times.took(11, 0.03)
    assert seconds(times, 6, 21) == pytest.approx([0.02, 0.05])


def test_where_many_rows_alone_were_seen_one_takes_less():
    times = StepTimes()
    times.took(5, 0.026)
    assert seconds(times, 1) == pytest.approx([0.01])


def test_a_step_that_lost_its_core_for_a_moment_counts_for_little():
    times = StepTimes()
    for seconds_ in (0.01, 0.01, 0.1, 0.01):
        times.took(1, seconds_)
    assert seconds(times, 1)[0] < 0.015
