"""The processes of vLLM's that a worker finds: its own, and what dead ones left."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import wait_for
from workers.engines.vllm import processes
from workers.engines.vllm.processes import OWNER_VARIABLE, EngineProcesses, _life


@pytest.fixture
def start():
    """Starts processes that do nothing, with a mark."""
    started = []

    def start(mark):
        command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
        process = subprocess.Popen(command, env={**os.environ, OWNER_VARIABLE: mark})
        started.append(process)
        child = psutil.Process(process.pid)
        wait_for(lambda: child.environ().get(OWNER_VARIABLE) == mark)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@pytest.fixture
def vllm_processes(monkeypatch):
    monkeypatch.setenv(OWNER_VARIABLE, "")  # what it sets is taken away again
    return EngineProcesses()


def test_what_a_dead_worker_left_is_ended_and_nothing_else(start, vllm_processes):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    its_mark = f"{_life(psutil.Process(dead.pid))}:1"
    dead.wait(10)
    left, own = start(its_mark), start(os.environ[OWNER_VARIABLE])
    processes.end_leftovers()
    left.wait(10)  # raises where it lives
    assert own.poll() is None


def test_a_pid_that_another_process_has_now_is_no_worker(start):
    left = start(f"{os.getpid()}:1.00:1")
    processes.end_leftovers()
    left.wait(10)


def test_an_engine_ends_its_own_and_no_other_processes(start, vllm_processes):
    own, other = start(os.environ[OWNER_VARIABLE]), start("")
    neighbour_processes = EngineProcesses()
    neighbour = start(os.environ[OWNER_VARIABLE])
    assert [process.pid for process in vllm_processes.members()] == [own.pid]
    assert vllm_processes.rss_bytes() > 0
    vllm_processes.end()
    own.wait(10)
    assert other.poll() is None
    assert neighbour.poll() is None
    assert [process.pid for process in neighbour_processes.members()] == [neighbour.pid]
