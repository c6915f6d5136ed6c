"""Leases, presence and the keeper on a real server."""

import dataclasses

import pytest

from tests.support.stored_job import REQUEST, stored_job
from tests.support.waiting import wait_for
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker, WorkerStatus, forget_loaded
from workers.contract import keys
from workers.contract.errors import ModelLoadFailed
from workers.contract.job import Job
from workers.keeper.keeper import Keeper
from workers.keeper.reaper import Reaper
from workers.store.leases import LEASE_MS, Leases

WORKER = Worker("m@host-1", "m", pid=1, host="host", concurrency=2)


@pytest.fixture
def jobs(redis):
    return stored_job(redis)


@pytest.fixture
def watched(redis):
    leases = Leases(redis, "worker-1")
    leases.start()
    yield leases
    leases.stop()


def expiry_ms(redis):
    return redis.zscore(keys.LEASES, "chatcmpl-1|answer")


def test_a_held_lease_is_renewed(redis, jobs, watched):
    watched.take(REQUEST)
    first = expiry_ms(redis)

    wait_for(lambda: expiry_ms(redis) > first)


def test_a_lease_is_held_while_its_job_is_decoded(redis, jobs, watched, monkeypatch):
    seen = []

    def decode(_data):
        first = expiry_ms(redis)
        wait_for(lambda: expiry_ms(redis) > first)
        seen.append(len(watched.held()))
        raise ValueError("a job of a newer version")

    monkeypatch.setattr(Job, "from_dict", decode)
    with pytest.raises(ValueError, match="newer version"):
        watched.take(REQUEST)
    assert seen == [1]
    assert watched.held() == ()


def test_a_dropped_lease_is_not_renewed(redis, jobs, watched):
    lease = watched.take(REQUEST)
    watched.drop(lease)

    assert watched.held() == ()


def test_a_generation_sees_at_once_that_its_job_was_ended(jobs, watched):
    lease = watched.take(REQUEST)

    jobs.cancel("chatcmpl-1", "client left")

    assert lease.stop.wait(LEASE_MS / 1000)


def test_a_generation_sees_that_its_lease_was_taken_away(jobs, watched):
    lease = watched.take(REQUEST)

    Leases.hand_back(watched, lease)

    assert lease.stop.wait(LEASE_MS / 1000)


def test_one_keeper_is_elected_and_another_follows(redis):
    first, second = Keeper(redis, []), Keeper(redis, [])
    first.start()
    wait_for(lambda: redis.get(keys.KEEPER))
    holder = redis.get(keys.KEEPER)
    second.start()

    first.stop()

    wait_for(lambda: redis.get(keys.KEEPER) not in (None, holder))
    second.stop()
    assert redis.get(keys.KEEPER) is None


def test_a_worker_is_there_while_it_beats(redis):
    directory = Directory(redis, ttl_s=0)
    presence = Presence(redis, WORKER)
    presence.start()
    wait_for(directory.workers)
    assert directory.workers()[0].status is WorkerStatus.LOADING
    assert directory.serving("m") == ()

    presence.loaded(memory_bytes=5, context_length=100)
    wait_for(lambda: directory.serving("m"))
    assert directory.loaded_once() == {"m"}

    presence.stop()
    assert directory.workers() == ()
    assert directory.loaded_once() == {"m"}
    forget_loaded(redis)
    assert directory.loaded_once() == frozenset()


def test_a_failure_to_load_is_told_with_its_reason(redis):
    directory = Directory(redis, ttl_s=0)
    presence = Presence(redis, WORKER)
    presence.start()

    presence.failed(ModelLoadFailed("not a GGUF"))

    failed = wait_for(lambda: [w for w in directory.workers() if w.status is WorkerStatus.FAILED])
    assert failed[0].error["message"] == "not a GGUF"
    presence.stop()


def test_a_worker_that_was_killed_is_forgotten(redis):
    redis.sadd(keys.WORKERS, "dead")
    living = dataclasses.replace(WORKER, id="living")
    presence = Presence(redis, living)
    presence.start()
    wait_for(lambda: redis.exists(keys.worker("living")))

    Reaper(redis).sweep()

    assert redis.smembers(keys.WORKERS) == {b"living"}
    presence.stop()
