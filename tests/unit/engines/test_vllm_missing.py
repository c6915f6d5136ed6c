"""vLLM where it is not installed, and what it is told before it is imported."""

import json
import os

import pytest

from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.engines.base import EngineOptions
from workers.engines.vllm import environment


@pytest.fixture
def environ(monkeypatch):
    """The environment, of which nothing stays set."""
    monkeypatch.setattr(os, "environ", fresh := dict(os.environ))
    return fresh


def test_without_its_package_the_engine_says_how_to_get_it(environ, tmp_path):
    options = EngineOptions(concurrency=1, cache_dir=tmp_path)
    with pytest.raises(ModelLoadFailed, match=r"inference-service\[vllm\]"):
        registry.create("vllm", options)
    assert list((tmp_path / "vllm").iterdir()) == []


def test_it_tells_nobody_of_its_use_and_forks_no_worker(environ, tmp_path):
    environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path))
    assert environ["VLLM_NO_USAGE_STATS"] == environ["DO_NOT_TRACK"] == "1"
    assert environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"


def test_the_settings_threads_are_its_threads(environ, tmp_path):
    environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path, threads=3))
    assert environ["OMP_NUM_THREADS"] == "3"


def test_the_last_line_of_the_last_error_is_the_cause(environ, tmp_path):
    complaints = environment.prepare(EngineOptions(concurrency=1, cache_dir=tmp_path))
    assert complaints.last() is None
    config = json.loads(complaints.config.read_text())
    with open(config["handlers"]["file"]["filename"], "a") as file:
        file.write("EngineCore failed to start.\nTraceback (most recent call last):\n")
        file.write("ValueError: no room\n\n")
    assert complaints.last() == "ValueError: no room"
    complaints.close()
    assert complaints.last() is None
