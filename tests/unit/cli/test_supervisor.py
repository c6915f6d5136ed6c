"""The supervisor on children that die, as often as a test wants."""

import sys

import pytest

from tests.support.waiting import wait_for
from web.cli.up import supervisor as module
from web.cli.up.supervisor import Child, Supervisor

DIES = "raise SystemExit(3)"
LIVES = "import time; time.sleep(60)"
MISUSED = "raise SystemExit(2)"


@pytest.fixture
def said():
    return []


@pytest.fixture
def watched(monkeypatch, said):
    """A supervisor whose children run the given Python code instead of our commands."""
    real = module.subprocess.Popen

    def popen(command, **options):
        return real([sys.executable, "-c", command[-1]], **options)

    monkeypatch.setattr(module.subprocess, "Popen", popen)
    supervisor = Supervisor(said.append)
    yield supervisor
    supervisor.stop(hurried=lambda: True)


def child(tmp_path, code, **options):
    return Child("child", (code,), tmp_path / "child.log", grace_s=5.0, **options)


def test_what_dies_is_started_again_after_a_pause_that_grows(watched, said, tmp_path):
    watched_child = child(tmp_path, DIES)
    watched_child.pause_s = 0.01
    watched.start(watched_child)

    def restarts():
        assert watched.look() is None
        return sum("ended with" in line for line in said) >= 4

    wait_for(restarts, 20)
    assert watched_child.pause_s >= 0.16


def test_what_cannot_start_as_it_is_set_up_is_not_started_again(watched, tmp_path):
    watched_child = child(tmp_path, MISUSED)
    watched.start(watched_child)
    assert wait_for(watched.look, 10).startswith("child says:")


def test_what_is_optional_is_given_up_where_it_cannot_start(watched, said, tmp_path):
    watched_child = child(tmp_path, MISUSED)
    watched_child.optional, watched_child.essential = True, False
    watched.start(watched_child)
    wait_for(lambda: watched_child.given_up, 10)
    for _ in range(3):
        assert watched.look() is None
    assert watched.calm
    assert said == []


def test_stopping_leaves_nothing(watched, tmp_path):
    watched_child = child(tmp_path, LIVES)
    watched.start(watched_child)
    process = watched_child.process
    watched.stop(hurried=lambda: False)
    assert process.poll() is not None


def test_a_death_after_the_first_answer_costs_no_pause(watched, tmp_path):
    watched_child = child(tmp_path, LIVES)
    watched.start(watched_child)
    for _ in range(3):
        watched_child.answered = True
        before = watched_child.process.pid
        watched_child.process.kill()
        watched_child.process.wait(5)
        assert watched.look() is None
        assert watched_child.process.pid != before
        assert watched_child.running
        assert watched_child.pause_s == module.FIRST_PAUSE_S


class Waiting:
    """A standby that becomes whatever it is asked to, once."""

    def __init__(self):
        self.became = []

    def become(self, arguments, log_file):
        self.became.append(tuple(arguments))
        if len(self.became) > 1:
            return None
        return module.subprocess.Popen([sys.executable, "-c", LIVES], start_new_session=True)


def test_a_worker_that_died_goes_on_in_the_standby(watched, tmp_path):
    watched._standby = Waiting()
    watched_child = child(tmp_path, LIVES)
    watched_child.from_standby = True
    watched.start(watched_child)
    for became in (1, 2):  # the second time none waits: it is started as ever
        watched_child.answered = True
        watched_child.process.kill()
        watched_child.process.wait(5)
        assert watched.look() is None
        assert len(watched._standby.became) == became
        assert watched_child.running


def test_a_log_that_grows_begins_anew_while_its_process_runs(watched, tmp_path):
    says = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.01)"
    watched_child = watched.start(child(tmp_path, says, log_bytes=1000))
    log, older = tmp_path / "child.log", tmp_path / "child.log.1"

    def begun_anew():
        watched.look()
        return older.exists()

    wait_for(begun_anew, 20)
    assert older.stat().st_size > 1000
    assert older.stat().st_mode & 0o777 == 0o600
    assert watched_child.running
    wait_for(lambda: "x" * 99 in log.read_text(), 20)
    assert not log.read_bytes().startswith(b"\0")


def test_a_log_that_cannot_be_kept_makes_room_all_the_same(watched, tmp_path):
    watched_child = child(tmp_path, LIVES, log_bytes=1000)
    watched_child.log_file.write_bytes(b"x" * 2000)
    (tmp_path / "child.log.1").mkdir()
    watched_child.bound_log()
    assert watched_child.log_file.stat().st_size == 0


def test_a_process_without_room_for_a_log_runs_all_the_same(watched, tmp_path):
    (tmp_path / "full").write_text("no directory")
    watched_child = child(tmp_path / "full", LIVES)
    watched.start(watched_child)
    assert watched_child.running
    assert watched_child.said() == ""
    assert watched.look() is None
