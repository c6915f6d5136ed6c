"""vLLM where it is not installed, and what it is told before it is imported."""

import json
import logging
import logging.config
import os

import pytest

from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.engines.base import EngineOptions
from workers.engines.vllm import environment


@pytest.fixture
def environ(monkeypatch):
    """The environment, of which nothing stays set; this process stays in its group."""
    monkeypatch.setattr(os, "setpgid", lambda *_: None)
    monkeypatch.setattr(os, "environ", fresh := dict(os.environ))
    return fresh


def test_without_its_package_the_engine_says_how_to_get_it(environ, tmp_path):
    options = EngineOptions(concurrency=1, cache_dir=tmp_path)
    with pytest.raises(ModelLoadFailed, match=r"pip install .*\[vllm\]"):
        registry.create("vllm", options)
    assert list((tmp_path / "vllm").iterdir()) == []


def test_it_tells_nobody_of_its_use_and_forks_no_worker(environ, tmp_path):
    environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path))
    assert environ["VLLM_NO_USAGE_STATS"] == environ["DO_NOT_TRACK"] == "1"
    assert environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"


def test_the_settings_threads_are_its_threads(environ, tmp_path):
    environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path, threads=3))
    assert environ["OMP_NUM_THREADS"] == "3"


def test_the_last_line_of_the_first_error_is_the_cause(environ, tmp_path):
    errors = environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path))
    assert errors.cause() is None
    config = json.loads(errors.config.read_text())
    config["loggers"] = {"a test": config["loggers"]["vllm"]}
    logging.config.dictConfig(config)
    logger = logging.getLogger("a test")
    logger.warning("slow")
    for error in (ValueError("no room"), RuntimeError("see above")):
        logger.error("It failed.", exc_info=error)
    assert errors.cause() == "ValueError: no room"
    errors.forget()
    assert errors.cause() is None
    logger.error("It died.")
    assert errors.cause() == "It died."
    errors.close()
    assert errors.cause() is None
    for handler in logger.handlers:
        handler.close()
