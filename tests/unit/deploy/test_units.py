"""systemd's units and launchd's list: what they start, and that they let answers end."""

import configparser
import plistlib
import shutil
import subprocess
import sys

import pytest

from tests.support.deployed import DEPLOY, check_command
from workers.runtime.ending import AFTER_GRACE_S
from workers.settings import Settings

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAM = "/opt/inference-service/bin/inference-service"


def section(unit):
    """[Service] of a unit; of what stands twice the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    return parser["Service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_restarts_it_and_lets_it_drain(unit):
    service = section(unit)
    program, *words = service["ExecStart"].split()
    assert program == PROGRAM
    check_command(words, model="smollm2-135m")
    assert service["Restart"] == "always"
    assert service["KillMode"] == "mixed"  # what a process started ends with it, in its order
    assert float(service["TimeoutStopSec"]) > Settings().grace_s + AFTER_GRACE_S
    assert int(service["LimitNOFILE"]) >= 65536
    assert service["User"] != "root"
    assert service["NoNewPrivileges"] == "true"


def test_there_is_a_unit_for_each_process_and_one_for_all():
    started = {section(unit)["ExecStart"].removeprefix(f"{PROGRAM} ") for unit in UNITS}
    assert started == {"up", "web", "worker %i", "worker --orchestration"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_understands_them(tmp_path):
    """As they are, but for the program and the user, which a machine of tests does not have."""
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text().replace(PROGRAM, sys.executable)
        (tmp_path / unit.name).write_text(text.replace("User=inference-service", "User=root"))
    (tmp_path / "inference-service-worker@.service").rename(
        tmp_path / "inference-service-worker@qwen2.5-7b.service"
    )
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in checked.stderr.splitlines() if "inference-service" in line]
    assert complaints == []


def test_launchd_starts_all_of_it_and_lets_it_drain():
    with (DEPLOY / "launchd/org.inference-service.plist").open("rb") as file:
        job = plistlib.load(file)
    program, *words = job["ProgramArguments"]
    assert program == PROGRAM
    check_command(words)
    assert job["KeepAlive"] is job["RunAtLoad"] is True
    assert job["ExitTimeOut"] > 2 * (Settings().grace_s + AFTER_GRACE_S)
    assert job["Label"] == "org.inference-service"
