"""What a kept state is of use for: the same weights, kept and computed in the same way."""

import types

import pytest

from presets.kv_cache import KvCache
from workers.engines.llamacpp import state_identity
from workers.engines.llamacpp.state_identity import StateIdentity, is_stretched


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"some weights")
    return file


def find(weights, *, stretched=False, **kv_cache):
    identity = StateIdentity(weights, KvCache(**kv_cache), weights.parent)
    return identity.find(is_stretched=stretched)


def test_it_is_the_same_wherever_the_file_is(weights, tmp_path):
    before = find(weights)
    assert find(weights.rename(tmp_path / "other.gguf")) == before


def test_it_is_another_for_all_that_states_depend_on(weights, monkeypatch):
    found = {
        find(weights),
        find(weights, type_k="q8_0"),
        find(weights, type_v="q8_0"),
        find(weights, flash_attention=True),
        find(weights, stretched=True),
    }
    monkeypatch.setattr(state_identity.llama_cpp, "__version__", "0.0")
    found.add(find(weights))
    weights.write_bytes(b"some others!")
    found.add(find(weights))
    assert len(found) == 7


def test_weights_that_were_replaced_while_they_were_loaded_have_none(weights):
    identity = StateIdentity(weights, KvCache(), weights.parent)
    weights.write_bytes(b"other weights")
    with pytest.raises(OSError, match="another now"):
        identity.find(is_stretched=False)


@pytest.mark.parametrize(("trained", "expected"), [(None, False), ("4096", True), ("8192", False)])
def test_a_pool_beyond_the_first_context_of_a_model_stretches_it(trained, expected):
    values = {"general.architecture": "phi3"}
    values["phi3.rope.scaling.original_context_length"] = trained
    model = types.SimpleNamespace(metadata=values.get)
    assert is_stretched(model, 8192) is expected
