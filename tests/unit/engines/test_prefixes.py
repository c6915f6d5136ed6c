"""What a sequence finds of its beginning, on a context that only remembers tokens."""

import numpy as np
import pytest

from tests.support.prefix_pool import Pool
from workers.contract.job import Priority
from workers.engines.llamacpp.prompt_cache import PromptCache, SavedPrompt
from workers.engines.llamacpp.prompt_lookup import Draft


@pytest.fixture
def pool():
    return Pool()


def test_nothing_stays_in_the_pool(pool):
    pool.run(b"hello")
    assert pool.context.cells == {}


def test_a_draft_that_had_no_room_counts_for_nothing(pool):
    sequence = pool.start(b"hello")
    assert pool.prefixes.begin(sequence)
    pool.read(sequence)
    sequence.draft = Draft((1, 2), (0.9, 0.8), is_predicted=True)
    pool.prefixes.release(sequence)
    sequence.end("cancelled")
    (last,) = sequence.read()
    assert last.usage.rejected_prediction_tokens == 0


def test_what_begins_alike_is_not_read_again(pool):
    assert [pool.run(text) for text in (b"hello you", b"hello there", b"hello you")] == [0, 6, 8]


def test_a_longer_state_takes_the_place_of_a_shorter_one(pool):
    pool.run(b"turn")
    pool.run(b"turn and turn")
    assert [bytes(prompt.tokens) for prompt in pool.cache] == [b"turn and turn"]
    assert pool.run(b"turn") == 3
    assert len(list(pool.cache)) == 1


def test_another_key_finds_only_what_others_sent_too(pool):
    assert pool.run(b"system: secret of a", "a") == 0
    assert pool.run(b"system: secret of a", "b") == 0  # however it guesses
    pool = Pool()
    pool.run(b"system: aa", "a")
    assert pool.run(b"system: bb", "b") == 0
    assert pool.run(b"system: bb", "c") == len(b"system: ")


def test_running_sequences_share_under_the_same_rule(pool):
    first = pool.start(b"system: aa", "a")
    assert pool.prefixes.begin(first)
    pool.read(first)
    other = pool.start(b"system: aa", "b")
    assert pool.prefixes.begin(other)
    assert other.decoded == 0
    third = pool.start(b"system: aa", "a")
    assert pool.prefixes.begin(third)
    assert third.decoded == 9


def test_what_arrives_together_is_read_once(pool):
    first, *others = [pool.start(b"the same question") for _ in range(4)]
    assert pool.prefixes.begin(first)
    assert not any(pool.prefixes.begin(other) for other in others)
    pool.read(first)
    assert all(pool.prefixes.begin(other) for other in others)
    assert {other.decoded for other in others} == {len(b"the same question") - 1}


def test_one_that_is_read_by_a_less_urgent_one_is_not_waited_for(pool):
    low = pool.start(b"the same", priority=Priority.LOW)
    high = pool.start(b"the same", priority=Priority.HIGH)
    assert pool.prefixes.begin(low)
    assert pool.prefixes.begin(high)


def test_a_state_that_does_not_fit_is_dropped_and_read_anew(pool):
    pool.run(b"hello you")
    pool.context.room = 5
    assert pool.run(b"hello you") == 0
    assert pool.context.cells == {}


def test_the_bound_is_one_of_bytes():
    pool = Pool(20)
    for text in (b"aaaaaaaaa", b"bbbbbbbbb", b"ccccccccc"):
        pool.run(text)
    assert pool.cache.taken_bytes == 18
    assert [pool.run(text) for text in (b"bbbbbbbbb", b"ccccccccc", b"aaaaaaaaa")] == [8, 8, 0]
    assert pool.run(b"d" * 30) == pool.run(b"d" * 30) == 0  # larger than the cache


def test_what_was_urgent_stays_longer():
    cache = PromptCache(2)
    state = np.zeros(1, dtype=np.uint8)
    high = SavedPrompt([1], state, "j", Priority.HIGH)
    low = SavedPrompt([2], state, "j", Priority.LOW)
    cache.add(high)
    cache.add(low)
    assert cache.add(SavedPrompt([3], state, "j", Priority.NORMAL)) == [low]


def test_forgetting_a_job_drops_what_it_alone_left(pool):
    pool.run(b"one", job="1")
    pool.run(b"two", job="2")
    pool.prefixes.saved.forget_job("1")
    assert (pool.run(b"one"), pool.run(b"two")) == (0, 2)


def test_a_model_that_forgets_uses_whole_states_alone():
    pool = Pool(forgets=True)
    pool.run(b"turn")
    assert pool.run(b"turn and turn") == 4
    assert pool.run(b"turned") == 4
    assert pool.run(b"turn") == 0  # its last token must be decoded, and the state has it
