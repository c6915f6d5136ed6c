"""What a log line shows of an error that may quote a request."""

import io
import logging
import sys

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

    def logged(raising, **environ):
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        logs.configure(read(environ, env_file=None), "test")
        try:
            raising()
        except Exception:
            logging.getLogger("here").exception("unexpected error")
        return written.getvalue()

    yield logged
    root.handlers[:], root.level = handlers, level


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
