"""What a log line shows of an error that may quote a request."""

import errno
import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from workers import logs
from workers.contract.errors import EngineFailed, ValidationFailed
from workers.settings import read

SECRET = "the-pin-of-my-card-is-0815"


@pytest.fixture
def logged(monkeypatch):
    """What is logged of an exception, in this form."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def logged(raising, written=None, **environ):
        written = io.StringIO() if written is None else written
        monkeypatch.setattr(sys, "stderr", written)
        logs.configure(read(environ, env_file=None), "test")
        try:
            raising()
        except Exception:
            logging.getLogger("here").exception("unexpected error")
        return written.getvalue()

    yield logged
    root.handlers[:], root.level = handlers, level


class FullDisk(io.StringIO):
    """A stream that takes nothing while it is full."""

    full = False

    def write(self, text):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def number():
    int(SECRET)


def chained():
    try:
        {}[SECRET]
    except KeyError as error:
        raise RuntimeError("CUDA out of memory") from error


def refused():
    raise ValidationFailed(f"no {SECRET}")


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("raising", [number, chained, refused])
def test_a_value_that_was_wrong_is_not_shown_unless_asked(logged, raising, form):
    text = logged(raising, INFERENCE_LOG_FORMAT=form)
    assert SECRET not in text
    assert "INFERENCE_LOG_PROMPTS" in text
    assert f"in {raising.__name__}" in text
    assert SECRET in logged(raising, INFERENCE_LOG_FORMAT=form, INFERENCE_LOG_PROMPTS="true")


def test_what_quotes_nothing_is_shown(logged):
    assert "RuntimeError: CUDA out of memory" in logged(chained)


def test_an_error_about_a_request_is_its_code_in_a_log():
    assert ValidationFailed(SECRET).for_log() == "VALIDATION_ERROR"
    assert EngineFailed("it broke").for_log() == "ENGINE_FAILED: it broke"


def test_libraries_that_log_what_they_carry_are_quiet(logged):
    logged(number, INFERENCE_LOG_LEVEL="DEBUG")
    for name in ("websockets.server", "httpcore.http11", "celery.worker", "kombu"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_a_module_has_its_own_level(logged):
    logged(number, INFERENCE_LOG_LEVELS="workers.keeper=debug, web.edge=ERROR,celery=INFO")
    assert logging.getLogger("workers.keeper.reaper").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("web.edge.worker").isEnabledFor(logging.WARNING)
    assert logging.getLogger("celery.worker").isEnabledFor(logging.INFO)
    assert not logging.getLogger("workers.runtime").isEnabledFor(logging.DEBUG)
    for name, level in (("workers.keeper", 0), ("web.edge", 0), ("celery", 0)):
        logging.getLogger(name).setLevel(level)


def test_what_a_full_disk_took_is_said_once_when_there_is_room_again(logged):
    disk = FullDisk()
    logged(number, disk)
    log = logging.getLogger("here")
    disk.full = True
    for _ in range(3):
        log.warning("nobody reads this")
    disk.full = False
    log.warning("there is room")
    log.warning("and still is")
    *_, notice, first, second = disk.getvalue().splitlines()
    assert notice.endswith("3 lines of this log could not be written: No space left on device")
    assert "there is room" in first
    assert "still" in second


def test_what_is_measured_is_a_number_in_json(logged):
    def measured():
        with logs.bound(trace_id="ab", first_token_ms=12.5, request_id=""):
            logging.getLogger("here").info("answered")

    line = json.loads(logged(measured, INFERENCE_LOG_FORMAT="json").splitlines()[0])
    assert line["first_token_ms"] == 12.5
    assert line["trace_id"] == "ab"
    assert "request_id" not in line
    assert "trace_id=ab first_token_ms=12.5" in logged(measured)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_process_whose_log_is_full_ends_as_ever():
    code = """
import logging
from workers import logs
from workers.settings import read
logs.configure(read({}, env_file=None), "test")
for number in range(1000):
    logging.getLogger("here").warning("line %d", number)
print("done")
"""
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, timeout=60
        )
    assert (ran.returncode, ran.stdout) == (0, b"done\n")
