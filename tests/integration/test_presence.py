"""What a worker's presence leaves when it falls silent, and when it leaves."""

import pytest

from tests.support.waiting import wait_for
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract import keys

MODEL = "m"


@pytest.fixture
def presence(redis):
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=1))
    presence.start()
    presence.loaded(memory_bytes=1, context_length=1)
    wait_for(lambda: Directory(redis, ttl_s=0).serving(MODEL))
    yield presence
    presence.stop()


def test_a_worker_that_fell_silent_is_expected_back(redis, presence):
    presence._ending.set()  # no further beat, and no farewell
    presence._thread.join(5)
    redis.delete(keys.worker("w"))
    directory = Directory(redis, ttl_s=0)
    assert not directory.serving(MODEL)
    assert directory.is_expected(MODEL)
    assert 0 < redis.pttl(keys.served(MODEL)) <= keys.SERVED_TTL_MS


def test_a_worker_that_says_it_leaves_is_not(redis, presence):
    presence.unloading()
    wait_for(lambda: not Directory(redis, ttl_s=0).is_expected(MODEL))


def test_a_worker_that_has_left_is_not(redis, presence):
    presence.stop()
    assert not Directory(redis, ttl_s=0).is_expected(MODEL)


def test_it_tells_once_that_it_has_given_text(redis, presence):
    assert not Directory(redis, ttl_s=0).of(MODEL)[0].answered
    presence.answered()
    presence.answered()
    wait_for(lambda: Directory(redis, ttl_s=0).of(MODEL)[0].answered)
