"""A process that was told to end is gone within its grace, whatever hangs in it."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.service import ROOT
from tests.support.waiting import wait_for
from workers.cluster.supervision import SUPERVISOR
from workers.runtime.ending import AFTER_GRACE_S, ORPHAN_GRACE_S

#: For a busy machine.
SLACK_S = 5

HANGING = """
import logging, signal, sys, threading
from workers.runtime import ending
signal.signal(signal.SIGTERM, lambda *_: None)
ending.end_with_supervisor()
watched = ending.watch(grace_s=0.5)
threading.Thread(target=threading.Event().wait).start()
if "patient" in sys.argv:
    watched.end_patiently()
print("ready", flush=True)
threading.Event().wait()
"""

#: Starts the script of its argument, as `up` would, and waits.
PARENT = f"""
import os, subprocess, sys, threading
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True,
                         env={{**os.environ, {SUPERVISOR!r}: str(os.getpid())}},
                         start_new_session=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def start():
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process, process.stdout.readline().split()

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_what_hangs_is_ended_when_the_grace_is_over(start):
    process, _ = start(HANGING)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert process.wait(0.5 + AFTER_GRACE_S + SLACK_S) == -signal.SIGKILL


def test_an_end_by_order_takes_its_time_and_a_signal_after_it_counts(start):
    process, _ = start(HANGING, "patient")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5 + AFTER_GRACE_S + 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(0.5 + AFTER_GRACE_S + SLACK_S) == -signal.SIGKILL


@pytest.mark.parametrize("by_kernel", [True, False])
def test_what_hangs_is_ended_soon_after_its_supervisor(start, by_kernel):
    """Without the kernel's signal, as on macOS, the thread sees it."""
    script = HANGING if by_kernel else HANGING.replace("ending.end_with_supervisor()", "")
    parent, (_, pid) = start(PARENT, script)
    child = psutil.Process(int(pid))
    parent.kill()
    parent.wait(5)
    wait_for(lambda: not psutil.pid_exists(child.pid) or not child.is_running(), 10)


BECOMES_ANOTHER = """
import os, sys
from workers.runtime import ending
ending.fork_watcher(os.getppid())
print("ready", flush=True)
os.execv(sys.executable, [sys.executable, "-c", "import threading; threading.Event().wait()"])
"""


def test_what_becomes_another_program_is_ended_after_its_supervisor(start):
    """As the embedded server on macOS, where the kernel tells nobody."""
    parent, (_, pid) = start(PARENT, BECOMES_ANOTHER)
    program = psutil.Process(int(pid))
    (watcher,) = program.children()
    parent.kill()
    parent.wait(5)
    for process in (program, watcher):
        wait_for(lambda process=process: not process.is_running(), 10)


def test_its_watcher_ends_with_it(start):
    _, (_, pid) = start(PARENT, BECOMES_ANOTHER)
    program = psutil.Process(int(pid))
    (watcher,) = program.children()
    program.kill()
    wait_for(lambda: not watcher.is_running() or watcher.status() == psutil.STATUS_ZOMBIE, 10)


def test_ten_seconds_are_enough():
    assert ORPHAN_GRACE_S + 1 < 10
