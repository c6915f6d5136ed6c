"""`up` reports workers of its machine whose processes have ended, and nobody else."""

import dataclasses
import json
import socket
import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import wait_for
from web.cli.up import deaths as module
from web.cli.up.deaths import LocalDeaths
from web.cli.up.supervisor import Child
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract import keys
from workers.runtime.consumer import started_at


@pytest.fixture
def process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def present(redis):
    def present(process, *, host=None, born=None, **fields):
        born = started_at(psutil.Process(process.pid)) if born is None else born
        host = host or socket.gethostname()
        id_ = f"m@{host}-{process.pid:x}-{born:x}"
        worker = Worker(id_, "m", process.pid, host, 1, status=WorkerStatus.LOADED, **fields)
        redis.set(keys.worker(id_), json.dumps(dataclasses.asdict(worker)), px=60_000)
        redis.sadd(keys.WORKERS, id_)
        return id_

    return present


@pytest.fixture
def deaths(redis, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    return LocalDeaths(redis)


@pytest.mark.parametrize("reaped", [False, True])
def test_a_worker_whose_process_has_ended_is_reported(redis, deaths, present, process, reaped):
    worker = present(process)
    deaths.look({})
    assert redis.exists(keys.worker(worker))
    process.kill()
    if reaped:
        process.wait(5)

    def reported():
        deaths.look({})
        return not redis.exists(keys.worker(worker))

    wait_for(reported, 5)
    assert not redis.sismember(keys.WORKERS, worker)


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"born": 1}])
def test_a_worker_elsewhere_is_none_of_ours(redis, deaths, present, process, other):
    """Another host, or another container with the same host name and pid."""
    worker = present(process, **other)
    deaths.look({})
    process.kill()
    process.wait(5)
    deaths.look({})
    assert redis.exists(keys.worker(worker))


def test_a_child_that_has_given_text_is_known_to(tmp_path, redis, deaths, present, process):
    child = Child("child", (), tmp_path / "log", process=process)
    present(process)
    deaths.look({process.pid: child})
    assert not child.answered
    present(process, answered=True)
    deaths.look({process.pid: child})
    assert child.answered
