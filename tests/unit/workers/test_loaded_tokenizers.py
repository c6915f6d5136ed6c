"""Which tokenizers are in memory."""

import pytest

from presets.catalogue import Catalogue
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.tokenizer.loaded import LoadedTokenizers


@pytest.fixture
def loads(monkeypatch):
    """The models that were loaded, in order."""
    loaded = []

    def load(spec):
        loaded.append(spec.id)
        return object()

    monkeypatch.setattr(registry, "tokenizer", load)
    return loaded


def test_the_ones_used_last_are_kept(loads):
    tokenizers = LoadedTokenizers(Catalogue([ModelSpec(name, None, 64) for name in "abc"]), most=2)
    first = tokenizers.of("a")
    tokenizers.of("b")
    assert tokenizers.of("a") is first
    tokenizers.of("c")  # b was used before a
    assert tokenizers.of("a") is first
    tokenizers.of("b")
    assert loads == ["a", "b", "c", "b"]


def test_a_file_that_is_another_now_is_loaded_anew(loads, tmp_path):
    file = tmp_path / "a.gguf"
    tokenizers = LoadedTokenizers(Catalogue([ModelSpec("a", file, 64)]))
    tokenizers.of("a")
    file.write_bytes(b"another")
    tokenizers.of("a")
    tokenizers.of("a")
    assert loads == ["a", "a"]


def test_an_alias_is_the_same_model(loads):
    tokenizers = LoadedTokenizers(Catalogue([ModelSpec("a", None, 64, aliases=("one",))]))
    assert tokenizers.of("one") is tokenizers.of("a")


def test_a_model_that_this_process_does_not_know_is_named():
    with pytest.raises(ModelLoadFailed, match="Nothing counts tokens for nope"):
        LoadedTokenizers(Catalogue([])).of("nope")


def test_an_engine_without_a_tokenizer_says_so():
    registry.register("mute", lambda options: None)
    with pytest.raises(ModelLoadFailed, match="run by mute, which has no tokenizer"):
        registry.tokenizer(ModelSpec("a", None, 64, backend="mute"))
