"""The watchdog and silent workers: who is found not to work, and who is left alone."""

import threading
import time
from types import SimpleNamespace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.waiting import wait_for
from web.cli.up import silent_workers
from web.cli.up.silent_workers import SilentWorkers
from workers.app import model_queue
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.engines.base import EngineOptions
from workers.engines.scripted import ScriptedEngine
from workers.runtime import watchdog
from workers.runtime.isolation import Isolation
from workers.runtime.watchdog import CHECKS, Watchdog

MODEL = "m"


@pytest.fixture
def runner():
    return SimpleNamespace(
        engine=SimpleNamespace(stalled_s=0.0, dead=None),
        leases=SimpleNamespace(held=lambda: ()),
        isolation=Isolation(),
    )


@pytest.fixture
def dog(redis, runner):
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=1))
    return Watchdog(redis, MODEL, runner, presence, wedged_s=5)


def problems(dog, checks=CHECKS):
    return [dog.problem() for _ in range(checks)]


def leave_waiting(redis, for_s):
    redis.zadd(keys.waiting(MODEL), {"job|answer": 4e13 + (time.time() - for_s) * 1000})
    redis.lpush(model_queue(MODEL), "{}")


def test_a_worker_that_works_is_left_alone(dog):
    assert problems(dog) == [None] * CHECKS


def test_an_engine_that_has_stopped(dog, runner):
    runner.engine.stalled_s = 4.0
    assert dog.problem() is None
    runner.engine.stalled_s = 6.0
    assert "engine" in dog.problem()


def test_an_engine_whose_process_died(dog, runner):
    runner.engine.dead = "its process has died"
    assert dog.problem() == "its process has died"


def test_a_worker_that_ends_its_answers_is_left_alone_while_its_engine_lives(dog, runner):
    dog.drain()
    runner.engine.stalled_s = 60.0
    assert dog.problem() is None
    runner.engine.dead = "its process has died"
    assert dog.problem() == "its process has died"


def test_a_consumer_that_stands_still(dog, monkeypatch):
    monkeypatch.setattr(watchdog, "STILL_S", 0.05)
    wait_for(lambda: "consumer" in (dog.problem() or ""))
    dog.tick()
    assert dog.problem() is None


def test_a_message_that_nobody_takes_beside_a_free_place(dog, redis, runner):
    leave_waiting(redis, for_s=60)
    *before, last = problems(dog)
    assert before == [None] * (CHECKS - 1)
    assert "slot was free" in last


@pytest.mark.parametrize("reason", ["young", "busy", "reserved", "no message"])
def test_a_message_that_rightly_waits(dog, redis, runner, reason):
    leave_waiting(redis, for_s=1 if reason == "young" else 60)
    if reason == "busy":
        runner.leases.held = lambda: (1,)
    if reason == "no message":
        redis.delete(model_queue(MODEL))
    with runner.isolation.alone() if reason == "reserved" else threading.Lock():
        assert problems(dog, 2 * CHECKS) == [None] * 2 * CHECKS


def test_the_scripted_engine_tells_that_it_hangs(tmp_path):
    engine = ScriptedEngine(EngineOptions(concurrency=1, cache_dir=tmp_path))
    assert engine.stalled_s == 0.0
    engine._moved_at[threading.Event()] = time.monotonic() - 9
    assert engine.stalled_s >= 9


class Present:
    def __init__(self, *pids):
        self.pids = pids

    def workers(self):
        if self.pids is None:
            raise RedisConnectionError
        return [SimpleNamespace(pid=pid) for pid in self.pids]


def test_who_fell_silent(monkeypatch):
    monkeypatch.setattr(silent_workers, "LONGEST_S", 0.05)
    directory = Present(1, 2)
    seen = SilentWorkers(directory)
    assert seen.silent([1, 2, 3]) == []
    directory.pids = (1,)
    wait_for(lambda: seen.silent([1, 2, 3]) == [2])  # 3 never told of itself
    assert seen.silent([1, 3]) == []  # 2 was ended


def test_nobody_is_silent_while_redis_is_away(monkeypatch):
    monkeypatch.setattr(silent_workers, "LONGEST_S", 0.05)
    directory = Present(1)
    seen = SilentWorkers(directory)
    seen.silent([1])
    directory.pids = None
    threading.Event().wait(0.1)
    assert seen.silent([1]) == []
    directory.pids = (1,)
    assert seen.silent([1]) == []
