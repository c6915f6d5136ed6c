"""The standby: a process with its imports done, which becomes what it is asked to."""

import subprocess
import sys

import psutil
import pytest

from tests.support.service import ROOT
from tests.support.waiting import wait_for
from web.cli.up import standby as module
from web.cli.up.standby import Standby
from workers.cluster.supervision import SUPERVISOR

MODEL = "smollm2-135m"


@pytest.fixture
def standby(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CALM_S", 0.0)
    monkeypatch.setenv("INFERENCE_BACKEND", "scripted")
    monkeypatch.setenv("INFERENCE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(ROOT)
    standby = Standby(tmp_path / "standby.log", [MODEL])
    yield standby
    standby.stop()


def test_it_becomes_what_it_is_asked_to_and_is_shown_as_that(standby, tmp_path):
    standby.look(calm=True)
    became = standby.become(["config", "--json"], tmp_path / "config.log")
    assert became.wait(30) == 0
    assert '"INFERENCE_STANDBY"' in (tmp_path / "config.log").read_text()
    assert standby.become(["config"], tmp_path / "config.log") is None
    standby.look(calm=True)
    assert standby.become(["config"], tmp_path / "other.log").wait(30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels show what was started")
def test_lists_of_processes_show_what_it_has_become(standby, tmp_path):
    standby.look(calm=True)
    became = standby.become(["config", "-h"], tmp_path / "config.log")
    shown = []

    def ended():
        try:
            shown.append(psutil.Process(became.pid).cmdline())
        except psutil.NoSuchProcess:
            pass
        return became.poll() is not None

    wait_for(ended, 30, every_s=0.001)
    assert any(line[-2:] == ["config", "-h"] for line in shown)


def test_without_its_up_it_ends(tmp_path):
    up = subprocess.Popen(
        [sys.executable, "-c", _UP, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    waiting = psutil.Process(int(up.stdout.readline()))
    up.kill()
    up.communicate()
    wait_for(lambda: not waiting.is_running(), 10)


_UP = """
import sys, threading
from pathlib import Path
from web.cli.up import standby
standby.CALM_S = 0.0
waits = standby.Standby(Path(sys.argv[1]) / "standby.log", ["smollm2-135m"])
waits.look(calm=True)
print(waits._process.pid, flush=True)
threading.Event().wait()
"""


def test_one_that_cannot_import_what_it_needs_is_not_tried_again_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CALM_S", 0.0)
    standby = Standby(tmp_path / "standby.log", ["no-such-model"])
    standby.look(calm=True)
    failed = standby._process
    assert failed.wait(30) != 0
    standby.look(calm=True)
    standby.look(calm=True)
    assert standby._process is None
    assert standby.become(["config"], tmp_path / "config.log") is None


def test_while_others_are_being_started_it_waits(standby, monkeypatch):
    monkeypatch.setattr(module, "CALM_S", 60.0)
    standby.look(calm=False)
    standby.look(calm=True)
    assert standby._process is None


def test_it_knows_its_supervisor(standby):
    standby.look(calm=True)
    waiting = psutil.Process(standby._process.pid)
    wait_for(lambda: SUPERVISOR in waiting.environ())  # it has none for a moment, as it begins
