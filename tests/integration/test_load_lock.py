"""The turn to load: one holder, and a dead one holds nothing."""

import logging
import subprocess
import sys
import threading

import pytest

from workers.loading.load_lock import loading_turn

HOLDER = """
import sys, time
from pathlib import Path
from workers.loading.load_lock import loading_turn
with loading_turn(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def waits():
    """Set when somebody has to wait, by the line that is logged then."""
    noticed = threading.Event()
    logger = logging.getLogger("workers.loading.load_lock")
    logger.setLevel(logging.INFO)
    notice = lambda _record: noticed.set() or True  # noqa: E731
    logger.addFilter(notice)
    yield noticed
    logger.removeFilter(notice)


def test_the_second_waits_for_the_first(tmp_path, waits):
    order = []

    def second():
        with loading_turn(tmp_path):
            order.append("second")

    with loading_turn(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_holder_that_is_killed_gives_the_turn_back(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        with loading_turn(tmp_path):
            assert holder.wait(10) == -9
