"""Batching over callers: who comes next, and how requests end."""

import threading

import numpy as np
import pytest

from tests.support.waiting import wait_for
from workers.contract.errors import EngineFailed
from workers.contract.job import Priority
from workers.engines.encoder_batches import EncoderBatches


class Encoder:
    """Its vector of a text is the text's first id; it computes one batch for each permit."""

    dimensions = 1
    batch_texts, batch_tokens = 4, 20

    def __init__(self):
        self.batches = []
        self.permits = threading.Semaphore(0)
        self.error = None

    def encode(self, batch):
        self.batches.append([list(ids) for ids in batch])
        assert self.permits.acquire(timeout=60)
        if self.error:
            raise self.error
        return np.array([[ids[0]] for ids in batch], dtype=np.float32)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def batches(encoder):
    running = EncoderBatches(encoder)
    running.start()
    yield running
    encoder.permits.release(1000)
    running.stop()


class Asked(threading.Thread):
    """A caller on a thread of its own."""

    def __init__(self, batches, texts, priority=Priority.NORMAL):
        super().__init__(daemon=True)
        self.cancelled = threading.Event()
        self.result = self.error = None
        self._arguments = (texts, priority, self.cancelled)
        self._batches = batches
        self.start()

    def run(self):
        try:
            self.result = self._batches.compute(*self._arguments)
        except EngineFailed as error:
            self.error = error

    def ended(self):
        self.join(60)
        assert not self.is_alive()
        return self


@pytest.fixture
def ask(batches, encoder):
    """Ask while a batch is computed; returns when the texts are in the heap's inbox."""

    def asked(texts, **options):
        inbox = batches._inbox
        computes, before = bool(encoder.batches), inbox.qsize()
        caller = Asked(batches, texts, **options)
        if computes:
            wait_for(lambda: inbox.qsize() > before, 60)
        else:
            wait_for(lambda: encoder.batches, 60)
        return caller

    return asked


def test_texts_of_several_callers_are_one_batch(encoder, ask):
    first = ask([[1]])
    callers = [ask([[number] * 2]) for number in (2, 3, 4)]
    encoder.permits.release(2)
    assert [caller.ended().result.tolist() for caller in callers] == [[[2]], [[3]], [[4]]]
    assert first.ended().result.tolist() == [[1]]
    assert sorted(encoder.batches[1]) == [[2, 2], [3, 3], [4, 4]]


def test_a_short_text_stands_before_the_rest_of_a_long_request(encoder, ask):
    long = ask([[1] * 10_000] * 40)
    short = ask([[2]])
    encoder.permits.release(2)
    assert short.ended().result.tolist() == [[2]]
    assert [2] in encoder.batches[1]
    assert long.result is None
    encoder.permits.release(100)
    assert long.ended().result.tolist() == [[1]] * 40


def test_a_short_text_stands_before_a_long_one_that_came_first(encoder, ask):
    ask([[1]])
    ask([[3] * 10_000])
    ask([[2]])
    encoder.permits.release(2)
    wait_for(lambda: len(encoder.batches) == 3, 60)
    assert [batch[0][0] for batch in encoder.batches] == [1, 2, 3]


def test_the_more_urgent_comes_first(encoder, ask):
    ask([[1]])
    ask([[2] * 20], priority=Priority.LOW)
    ask([[3] * 20], priority=Priority.HIGH)
    encoder.permits.release(2)
    wait_for(lambda: len(encoder.batches) == 3, 60)
    assert [batch[0][0] for batch in encoder.batches] == [1, 3, 2]


def test_a_batch_has_a_bound_in_texts_and_in_tokens(encoder, ask):
    ask([[1]])
    caller = ask([[2]] * 6 + [[3] * 30] * 2)
    encoder.permits.release(100)
    caller.ended()
    sizes = [(len(batch), sum(map(len, batch))) for batch in encoder.batches]
    assert sizes == [(1, 1), (4, 4), (2, 2), (1, 30), (1, 30)]


def test_what_was_cancelled_is_not_computed(encoder, ask):
    ask([[1]])
    gone = ask([[2]])
    gone.cancelled.set()
    assert gone.ended().result is None
    stays = ask([[3]])
    encoder.permits.release(2)
    assert stays.ended().result.tolist() == [[3]]
    assert encoder.batches[1] == [[3]]


def test_a_batch_that_fails_fails_its_requests_alone(encoder, ask):
    encoder.error = RuntimeError("no")
    first = ask([[1], [2]])
    encoder.permits.release(1)
    assert isinstance(first.ended().error, EngineFailed)
    encoder.error = None
    encoder.permits.release(1)
    second = Asked(first._batches, [[3]])
    assert second.ended().result.tolist() == [[3]]


def test_who_waits_when_the_engine_is_closed_learns_so(encoder, batches, ask):
    ask([[1]])
    waits = ask([[2]])
    batches._inbox.put(None)
    encoder.permits.release(1)
    assert isinstance(waits.ended().error, EngineFailed)
