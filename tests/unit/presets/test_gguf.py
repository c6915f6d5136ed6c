"""Heads of GGUF files, whole and broken."""

import struct

import pytest

from presets.catalogue import Catalogue
from presets.memory import footprint
from presets.weights.gguf import KNOWS_GAPS, NotGGUF, context_length, read_metadata
from tests.support.gguf import gguf, text, u32

STRING, ARRAY, INT64 = 8, 9, 11


def head(*pairs):
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def nested(depth):
    """An array of an array of an array ..., as a key's value."""
    inner = struct.pack("<IQ", 4, 0)
    return text("x") + struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * depth + inner


def sized(name, value, kind=INT64, form="q"):
    architecture = text("general.architecture") + struct.pack("<I", STRING) + text("llama")
    return head(architecture, text(f"llama.{name}") + struct.pack("<I" + form, kind, value))


BROKEN = {
    "empty": (b"", "does not begin with 'GGUF'"),
    "another kind": (b"PK\3\4" + bytes(100), "does not begin with 'GGUF'"),
    "a magic alone": (b"GGUF", "ends too early"),
    "cut off": (gguf()[:-7], "ends too early"),
    "an old version": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "nested": (head(nested(1000)), "nested deeper than 4"),
    "a text without end": (
        head(text("x") + struct.pack("<IQ", STRING, 2**64 - 1)),
        "18446744073709551615 bytes",
    ),
    "a text without end in an array": (
        head(text("x") + struct.pack("<IIQQ", ARRAY, STRING, 1, 2**64 - 1)),
        "more than the file",
    ),
    "an array without end": (
        head(text("x") + struct.pack("<IIQ", ARRAY, STRING, 2**64 - 1)),
        "more than 10000000 items",
    ),
    "numbers without end": (
        head(text("x") + struct.pack("<IIQ", ARRAY, 10, 2**64 - 1)),
        "more than the file",
    ),
    "keys without end": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "9223372036854775808 keys"),
    "an unknown type": (head(text("x") + struct.pack("<I", 99)), "unknown type 99"),
    "a negative context": (sized("context_length", -5), "context_length is '-5'"),
    "no layer": (sized("block_count", 0), "block_count is '0'"),
    "layers without end": (sized("block_count", 2**62), "block_count is '4611686018427387904'"),
    "no number": (sized("embedding_length", float("nan"), 12, "d"), "embedding_length is 'nan'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_head_says_what_is_wrong(name, tmp_path):
    raw, problem = BROKEN[name]
    file = tmp_path / "broken.gguf"
    file.write_bytes(raw)
    with pytest.raises(NotGGUF) as error:
        read_metadata(file)
    assert problem in str(error.value)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_model_that_its_worker_refuses_and_others_are_not_touched(
    name, tmp_path
):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.gguf").write_bytes(BROKEN[name][0])
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "whole.gguf").write_bytes(gguf(512))
    catalogue = Catalogue.load(tmp_path, "llamacpp")
    assert catalogue.get("whole").context_length == 512
    planned = footprint.of(catalogue.get("broken"), 4, tmp_path / "cache")
    assert planned.estimated or planned.weights_bytes == 0


def test_a_whole_head_is_read(tmp_path):
    file = tmp_path / "whole.gguf"
    file.write_bytes(gguf(2048, size=10, general__name="Whole"))
    metadata = read_metadata(file)
    assert metadata["general.name"] == "Whole"
    assert context_length(metadata) == 2048


def test_arrays_of_arrays_are_passed_over(tmp_path):
    file = tmp_path / "nested.gguf"
    file.write_bytes(head(nested(3), text("after") + struct.pack("<I", STRING) + text("it")))
    assert read_metadata(file)["after"] == "it"


@pytest.mark.parametrize(
    ("words", "knows"),
    [
        (("a", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"), True),
        (("<PRE>", "b", "<SUF>", "<MID>"), True),
        (("<|fim_prefix|>", "<fim_suffix>", "<MID>"), False),
        (("a", "<|fim_prefix|>" * 1000), False),
    ],
)
def test_a_vocabulary_with_the_marks_of_gaps_says_so(tmp_path, words, knows):
    tokens = b"".join(text(word) for word in words)
    pair = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(words)) + tokens
    file = tmp_path / "m.gguf"
    file.write_bytes(head(pair))
    assert read_metadata(file).get(KNOWS_GAPS, False) is knows


def test_a_file_may_name_its_marks_itself(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(head(*(u32(f"tokenizer.ggml.fim_{m}_token_id", 1) for m in ("pre", "suf"))))
    assert KNOWS_GAPS not in read_metadata(file)
    marks = ("pre", "suf", "mid")
    file.write_bytes(head(*(u32(f"tokenizer.ggml.fim_{m}_token_id", 1) for m in marks)))
    assert read_metadata(file)[KNOWS_GAPS] is True
