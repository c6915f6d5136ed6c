"""Which engine a backend's name means, and the traits that the rest of the service asks for."""

import pytest

from presets import backends
from presets.backends import Weights
from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.engines.base import EngineOptions
from workers.engines.scripted import ScriptedEngine


@pytest.fixture
def options(tmp_path):
    return EngineOptions(concurrency=1, cache_dir=tmp_path)


def test_every_row_has_an_engine_that_registers_itself():
    assert set(backends.names()) >= {"llamacpp", "vllm", "scripted"}
    for name in backends.names():
        registry.tuner(name)


def test_an_engine_is_made_by_its_name(options):
    assert isinstance(registry.create("scripted", options), ScriptedEngine)


@pytest.mark.parametrize("name", ["", "llama", "text", "base", "..scripted", "llamacpp.engine"])
def test_what_is_no_engine_is_named_with_those_that_are(name, options):
    with pytest.raises(ModelLoadFailed, match=r"known: .*llamacpp, .*scripted, .*vllm"):
        registry.create(name, options)


def test_only_an_engine_with_formats_can_be_tuned():
    assert registry.tuner("llamacpp") is not None
    assert registry.tuner("scripted") is None


def test_a_name_without_a_row_is_planned_as_a_file_in_the_ram():
    unknown = backends.get("another")
    assert (unknown.weights, unknown.uses_devices) == (Weights.GGUF, False)
