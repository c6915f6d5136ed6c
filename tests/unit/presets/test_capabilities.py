"""What models can do, by their description and their files."""

import json
import struct

import pytest

from presets import capabilities
from presets.model import ModelSpec, Reasoning
from tests.support.gguf import gguf, head, text

MARKS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def spec(path=None, backend="llamacpp", **changes):
    return ModelSpec("m", path, 1024, backend=backend, **changes)


def test_a_file_says_what_its_template_and_its_vocabulary_know(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(tokenizer__chat_template="{{ messages }}"))
    assert capabilities.of(spec(file)) == ("json",)
    with_tools = tmp_path / "t.gguf"
    with_tools.write_bytes(gguf(tokenizer__chat_template="{% if tools %}{% endif %}"))
    assert capabilities.of(spec(with_tools)) == ("tools", "json")
    words = b"".join(text(word) for word in MARKS)
    fills = tmp_path / "f.gguf"
    fills.write_bytes(head(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + words))
    assert capabilities.of(spec(fills)) == ("json", "fim")


def test_the_catalogues_own_words_count(tmp_path):
    described = spec(
        tmp_path / "none.gguf", chat_template="{{ tools }}", reasoning=Reasoning("harmony")
    )
    assert capabilities.of(described) == ("tools", "json", "reasoning")


def test_a_directory_says_what_its_tokenizer_knows(tmp_path):
    settings = {"chat_template": "{{ tools }}"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokens = {"added_tokens": [{"content": mark} for mark in MARKS]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokens))
    assert capabilities.of(spec(tmp_path, "vllm")) == ("tools", "json", "fim")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"added_tokens": [1]}', "\xff"])
def test_a_broken_tokenizer_knows_nothing(tmp_path, content):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text(content, encoding="latin-1")
    assert capabilities.of(spec(tmp_path, "vllm")) == ("json",)


def test_the_scripted_engine_is_held_to_nothing():
    assert capabilities.of(spec(backend="scripted")) == ("fim",)
