"""The scheduler's own decisions, on a context whose time and failures the test chooses."""

import threading

import pytest

from workers.contract.errors import EngineFailed
from workers.contract.job import Priority
from workers.contract.sampling import Sampling
from workers.engines.answer_form import AnswerForm
from workers.engines.base import GenerationRequest
from workers.engines.llamacpp import scheduler as module
from workers.engines.llamacpp.drafts import Drafts
from workers.engines.llamacpp.prefill_chunks import (
    ALONE_AIM_S,
    PATIENCE_S,
    TILE,
    PrefillChunks,
)
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.prompt_cache import PromptCache
from workers.engines.llamacpp.scheduler import Scheduler
from workers.engines.llamacpp.sequence import Sequence

#: The bound that running answers are promised, in seconds.
BOUND_S = 0.4


class Clock:
    """Time that passes only while the context decodes."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class FakeContext:
    """Takes as long as `pace(rows, depth)` says; `fail(batch)` chooses the status."""

    def __init__(self, clock, pace=lambda rows, depth: 0.001, fail=lambda batch: 0):
        self._clock, self._pace, self._fail = clock, pace, fail
        self.batch = []
        #: (rows, seconds) of every step.
        self.steps = []
        self.shared = []
        #: Nothing is decoded before the test has handed over all it has.
        self.may_decode = threading.Event()

    def clear_batch(self):
        self.batch = []

    def add(self, token, position, sequence, *, wants_logits):
        self.batch.append((token, position, sequence))
        return len(self.batch) - 1

    def decode(self):
        self.may_decode.wait(10)
        if status := self._fail(self.batch):
            return status
        took_s = self._pace(len(self.batch), max(position for _, position, _ in self.batch))
        self._clock.now += took_s
        self.steps.append((len(self.batch), took_s))
        return 0

    def drop(self, sequence):
        pass

    def state_bytes(self, sequence):
        return 1

    def share(self, source, target, length):
        self.shared.append((source, target, length))


class Letters:
    """A sampler and a vocabulary in one: every token is an `a`, and none ends the turn."""

    pending = None

    def sample(self, context, row):
        return 97

    def free(self):
        pass

    def piece(self, token):
        return bytes([token])

    def ends_turn(self, token):
        return False


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("workers.engines.llamacpp.sequence.time", clock)
    return clock


@pytest.fixture
def run(clock):
    """Start sequences together and wait for all; gives the context and each one's deltas."""

    def start(*sequences, batch_tokens=2048, **faults):
        context = FakeContext(clock, **faults)
        scheduler = Scheduler(
            context,
            Prefixes(context, 8, PromptCache(0), forgets=False),
            concurrency=8,
            kv_tokens=32_768,
            chunks=PrefillChunks(most=batch_tokens),
            drafts=Drafts(enabled=False),
        )
        scheduler.start()
        for sequence in sequences:
            scheduler.submit(sequence)
        context.may_decode.set()
        ends = []
        for sequence in sequences:
            try:
                ends.append("".join(delta.text for delta in sequence.read()))
            except EngineFailed as error:
                ends.append(error)
        scheduler.stop()
        return context, ends

    return start


def sequence(prompt, answer, name="one", priority=Priority.NORMAL):
    """A prompt of so many tokens that no other begins with, and the length of its answer."""
    first = sum(name.encode())
    request = GenerationRequest(
        id=name, messages=(), sampling=Sampling(max_tokens=answer), priority=priority
    )
    letters = Letters()
    tokens = [first, *range(1000, 1000 + prompt - 1)]
    return Sequence(request, tokens, letters, letters, 32_768, threading.Event(), AnswerForm())


def tiles(rows, depth):
    """The pace of one slow core: rows in tiles cost less than half, all grow with the depth."""
    row_s = 0.0032 + depth * (1.6e-6 if rows >= TILE else 5.5e-6)
    return rows * row_s


def test_a_long_prompt_beside_a_running_answer_stays_under_the_bound(run):
    context, ends = run(
        sequence(20, 2000, "running"), sequence(4000, 4, "long"), pace=tiles, batch_tokens=512
    )
    assert [len(text) for text in ends] == [2000, 4]
    # In the first step nothing runs that could stand still.
    assert max(took_s for _, took_s in context.steps[1:]) < BOUND_S


def test_prompts_that_wait_are_read_together(run):
    context, _ = run(*(sequence(78, 4, name) for name in "abcdefgh"), pace=tiles)
    first_rows, first_s = context.steps[0]
    assert first_rows >= 2 * TILE
    assert first_s <= ALONE_AIM_S
    assert all(rows >= TILE for rows, _ in context.steps[1:6])


def test_a_prompt_too_slow_for_the_bound_goes_on_in_tiles_and_ends(run):
    def crawl(rows, depth):
        return 4 * tiles(rows, depth)

    long = sequence(4000, 1, "long")
    context, ends = run(sequence(20, 2000, "running"), long, pace=crawl)
    assert len(ends[1]) == 1
    reading_s = sum(took_s for rows, took_s in context.steps if rows > 1)
    assert PATIENCE_S < reading_s < 2.5 * PATIENCE_S


def test_a_fast_device_reads_in_whole_batches(run):
    context, _ = run(sequence(12_000, 1), pace=lambda rows, depth: 0.002 + rows * 1e-5)
    assert max(rows for rows, _ in context.steps) == 2048


def test_a_batch_that_cannot_be_decoded_fails_only_its_own_sequences(run):
    statuses = iter([-3])
    early, late = sequence(500, 20, "early"), sequence(50, 20, "late")
    _, ends = run(early, late, batch_tokens=TILE, fail=lambda batch: next(statuses, 0))
    assert isinstance(ends[0], EngineFailed)
    assert "status -3" in ends[0].message
    assert ends[1] == "a" * 20


def test_an_unexpected_error_fails_the_sequences(run):
    class Breaks(Letters):
        def sample(self, context, row):
            raise ValueError("broken sampler")

    broken = sequence(5, 5, "broken")
    broken.sampler = Breaks()
    _, ends = run(broken)
    assert isinstance(ends[0], EngineFailed)


def test_the_more_urgent_prompt_is_read_first(run):
    low = sequence(3000, 1, "low", Priority.LOW)
    high = sequence(3000, 1, "high", Priority.HIGH)
    low_while_high_is_read = set()

    def watch(_batch):
        if 0 < high.decoded < 3000:
            low_while_high_is_read.add(low.decoded)
        return 0

    run(low, high, fail=watch)
    assert len(low_while_high_is_read) == 1
