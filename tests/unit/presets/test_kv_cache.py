"""The options of a model's KV cache: what they may be, and what of the memory follows."""

import pytest

from presets import kv_cache
from presets.catalogue import SHIPPED, Catalogue
from presets.kv_cache import KvCache
from presets.memory import footprint
from presets.schema import CatalogueError, ModelSchema, read
from presets.weights.gguf import read_metadata


def test_what_options_leave_out_is_f16_and_llama_cpps_choice():
    assert kv_cache.of({}) == KvCache("f16", "f16", None)
    assert kv_cache.of({"type_k": "q8_0", "flash_attention": True}) == KvCache("q8_0", "f16", True)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"type_k": "int3"}, r"options.type_k must be one of f32, f16"),
        ({"type_v": 8}, r"options.type_v must be one of f32, f16"),
        ({"type_v": ["f16"]}, r"options.type_v must be one of f32, f16"),
        ({"flash_attention": 1}, r"options.flash_attention must be true or false"),
        (
            {"flash_attention": False, "type_v": "q8_0"},
            r"options.type_v must be one of f32, f16, bf16 without flash_attention",
        ),
    ],
)
def test_a_wrong_option_is_named(options, problem):
    entry = {"id": "m", "context_length": 4096, "options": options}
    with pytest.raises(CatalogueError, match=problem):
        read(ModelSchema(), entry, "m.yaml")


def test_the_memory_follows_the_types():
    metadata = read_metadata(Catalogue.load(None, "llamacpp").get(SHIPPED).path)
    whole = footprint.kv_bytes_per_token(metadata)
    assert footprint.kv_bytes_per_token(metadata, KvCache("q8_0", "q8_0")) == whole * 34 / 64
    assert footprint.kv_bytes_per_token(metadata, KvCache("f16", "f32")) == whole * 1.5
