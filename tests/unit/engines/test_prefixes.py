"""What a sequence finds of its beginning, on a context that only remembers tokens."""

import threading

import numpy as np
import pytest

from workers.contract.job import Priority, Sampling
from workers.engines.answer_form import AnswerForm
from workers.engines.base import GenerationRequest
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.prompt_cache import PromptCache, SavedPrompt
from workers.engines.llamacpp.sequence import Sequence


class Cells:
    """A context whose cells are tokens, and whose states are too; a token takes a byte."""

    def __init__(self):
        self.cells = {}
        self.room = 1000

    def share(self, source, target, length):
        self.cells[target] = self.cells[source][:length]

    def state_bytes(self, slot):
        return len(self.cells[slot])

    def save(self, slot):
        return np.array(self.cells[slot], dtype=np.uint8)

    def restore(self, slot, state):
        self.cells[slot] = list(state) if len(state) <= self.room else []
        return len(state) <= self.room

    def truncate(self, slot, length):
        self.cells[slot] = self.cells[slot][:length]
        return True

    def drop(self, slot):
        self.cells.pop(slot, None)


class Letters:
    pending = None

    def piece(self, token):
        return bytes([token])


class Pool:
    """Prefixes, and sequences that are read as a test says."""

    def __init__(self, cache_bytes=1000, *, forgets=False):
        self.context = Cells()
        self.cache = PromptCache(cache_bytes)
        self.prefixes = Prefixes(self.context, 4, self.cache, forgets=forgets)

    def start(self, tokens, owner=None, job="j", priority=Priority.NORMAL):
        request = GenerationRequest(
            "r", (), Sampling(max_tokens=9), priority=priority, job=job, owner=owner
        )
        letters = Letters()
        sequence = Sequence(
            request, list(tokens), letters, letters, 99, threading.Event(), AnswerForm()
        )
        self.prefixes.assign_slot(sequence)
        return sequence

    def read(self, sequence):
        sequence.decoded = len(sequence.tokens)
        self.context.cells[sequence.slot] = list(sequence.tokens)

    def run(self, tokens, owner=None, **said):
        """The whole life of one; returns how many of its tokens it found."""
        sequence = self.start(tokens, owner, **said)
        assert self.prefixes.begin(sequence)
        found = sequence.decoded
        assert self.context.cells.get(sequence.slot, []) == list(tokens[:found])
        self.read(sequence)
        self.prefixes.release(sequence)
        return found


@pytest.fixture
def pool():
    return Pool()


def test_nothing_stays_in_the_pool(pool):
    pool.run(b"hello")
    assert pool.context.cells == {}


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
    pool.prefixes.forget_job("1")
    assert (pool.run(b"one"), pool.run(b"two")) == (0, 2)


def test_a_model_that_forgets_uses_whole_states_alone():
    pool = Pool(forgets=True)
    pool.run(b"turn")
    assert pool.run(b"turn and turn") == 4
    assert pool.run(b"turned") == 4
    assert pool.run(b"turn") == 0  # its last token must be decoded, and the state has it
