"""The most tokens of an answer whose caller names no number."""

import pytest

from workers.contract.sampling import Sampling
from workers.runtime.generation import StepRunner


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ({}, 3892),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5000}, 5000),
        ({"min_tokens": 5}, 3892),
        ({"min_tokens": 5000}, 5000),
    ],
)
def test_an_answer_takes_the_generation_part_where_its_caller_names_no_number(asked, most):
    runner = StepRunner(None, None, None, generation_tokens=3892)
    assert runner.bounded(Sampling(**asked)).max_tokens == most


def test_a_runner_without_budgets_leaves_it_to_the_context():
    assert StepRunner(None, None, None).bounded(Sampling()) == Sampling()
