"""The footprint of models: of the shipped file, of heads made for a test, and of missing files."""

import dataclasses
import struct

import pytest

from presets.catalogue import SHIPPED, Catalogue
from presets.memory import footprint
from presets.model import ModelSpec
from presets.weights.formats import requantised_file
from presets.weights.gguf import read_metadata
from tests.support.gguf import head, text, u32

MB = 2**20
#: llama.cpp of the shipped model with a pool of 8,192 tokens: "KV buffer size = 180.00 MiB".
SHIPPED_KV_BYTES = 180 * MB // 8192
#: Of its requantised file: "model buffer size = 136.40 MiB".
SHIPPED_Q8_0_BYTES = 136.40 * MB


@pytest.fixture
def spec(tmp_path):
    """A model with a file: call it with the file's head and what else of the spec."""

    def make(content, **changes):
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        return ModelSpec(id="m", path=path, context_length=4096, **changes)

    return make


@pytest.fixture
def shipped():
    return Catalogue.load(None, "llamacpp").get(SHIPPED)


def test_of_the_shipped_model(shipped, tmp_path):
    needs = footprint.of(shipped, 1, tmp_path)
    assert footprint.kv_bytes_per_token(read_metadata(shipped.path)) == SHIPPED_KV_BYTES
    assert needs.kv_bytes_per_token == SHIPPED_KV_BYTES + 1024  # and its part of the mask
    assert needs.weights_bytes == pytest.approx(SHIPPED_Q8_0_BYTES, rel=0.2)
    assert (needs.wanted_tokens, needs.least_tokens, needs.context_length) == (
        8192,
        2048,
        8192,
    )
    assert not needs.estimated


def test_a_requantised_file_that_is_there_is_measured(shipped, tmp_path):
    made = requantised_file(shipped.path, "q8_0", tmp_path)
    made.parent.mkdir()
    made.write_bytes(bytes(12345))
    assert footprint.of(shipped, 1, tmp_path).weights_bytes == 12345
    plain = dataclasses.replace(shipped, requantise=None)
    assert footprint.of(plain, 1, tmp_path).weights_bytes == shipped.path.stat().st_size


def test_layers_may_have_heads_of_their_own(spec, tmp_path):
    heads = text("llama.attention.head_count_kv") + struct.pack("<IIQ4I", 9, 4, 4, 8, 0, 4, 0)
    common = (
        u32("llama.block_count", 4),
        u32("llama.attention.head_count", 16),
        u32("llama.embedding_length", 1024),
    )
    metadata = read_metadata(spec(head(*common, heads)).path)
    assert footprint.kv_bytes_per_token(metadata) == (8 + 0 + 4 + 0) * (64 + 64) * 2
    lengths = (u32("llama.attention.key_length", 128), u32("llama.attention.value_length", 96))
    metadata = read_metadata(spec(head(*common, heads, *lengths)).path)
    assert footprint.kv_bytes_per_token(metadata) == 12 * (128 + 96) * 2
    metadata = read_metadata(
        spec(head(*common)).path
    )  # without grouped heads: as many as there are
    assert footprint.kv_bytes_per_token(metadata) == 4 * 16 * 128 * 2


def test_a_recurrent_model_has_no_cache(spec):
    metadata = read_metadata(spec(head(u32("mamba.block_count", 4), architecture="mamba")).path)
    assert footprint.kv_bytes_per_token(metadata) == 0


def test_the_pool_follows_context_concurrency_and_what_is_asked(spec, tmp_path):
    def pool(concurrency, **changes):
        needs = footprint.of(spec(head(), **changes), concurrency, tmp_path)
        return needs.wanted_tokens, needs.least_tokens

    assert pool(1) == (4096, 2048)
    assert pool(16) == (16 * 2048, 2048)
    assert pool(1, options={"kv_tokens": 300}) == (300, 300)


def test_the_files_own_context_bounds_that_of_the_catalogue(spec, tmp_path):
    needs = footprint.of(spec(head(u32("llama.context_length", 1024))), 1, tmp_path)
    assert (needs.context_length, needs.least_tokens) == (1024, 1024)


@pytest.mark.parametrize("model", ["llama-3.2-3b", "qwen2.5-7b", "phi-4", "granite-20b-code"])
def test_a_missing_file_is_estimated_and_called_so(model, tmp_path):
    spec = Catalogue.load(tmp_path, "llamacpp").get(model)
    needs = footprint.of(spec, 1, tmp_path)
    assert needs.estimated
    assert needs.weights_bytes == spec.size_bytes
    assert needs.kv_bytes_per_token >= 100 * 1024


def test_a_broken_file_is_planned_by_its_size(spec, tmp_path):
    needs = footprint.of(spec(b"no model" * 100), 1, tmp_path)
    assert (needs.weights_bytes, needs.estimated) == (800, True)


def test_weights_in_a_directory_are_its_safetensors(tmp_path):
    for part in ("a", "b"):
        (tmp_path / f"{part}.safetensors").write_bytes(bytes(70))
    (tmp_path / "config.json").write_text("{}")
    spec = ModelSpec(id="m", path=tmp_path, context_length=64, backend="vllm")
    assert footprint.of(spec, 1, tmp_path).weights_bytes == 140


def test_a_scripted_model_takes_nothing(tmp_path):
    spec = Catalogue.load(None, "scripted").get("phi-4")
    assert footprint.of(spec, 1, tmp_path).least_bytes == 0
