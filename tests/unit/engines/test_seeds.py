"""Seeds: every whole number that a caller may send is one, and none of them means a fresh draw."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.engines import seeds

#: What llama.cpp and vLLM take for "draw a fresh seed".
FRESH = {seeds.LLAMA_CPP_SEEDS: 0xFFFFFFFF, seeds.VLLM_SEEDS: -1}


@pytest.mark.parametrize("count", FRESH)
@given(seed=st.integers(-(2**63), 2**63 - 1), produced=st.integers(0, 2**20))
@example(seed=-1, produced=0)
@example(seed=4294967295, produced=0)
@example(seed=4294967294, produced=1)
def test_no_seed_of_a_caller_draws_a_fresh_one(count, seed, produced):
    engine_seed = seeds.after(seed, produced, count)
    assert engine_seed != FRESH[count]
    assert 0 <= engine_seed < count
    assert engine_seed == seeds.after(seed, produced, count)


def test_small_seeds_stay_what_they_are():
    for count in FRESH:
        assert [seeds.after(seed, 0, count) for seed in (0, 1, 4294967294)] == [0, 1, 4294967294]


def test_a_generation_that_goes_on_draws_from_another_stream():
    assert seeds.after(5, 3, seeds.LLAMA_CPP_SEEDS) == 8
