"""llama.cpp's own words are the reason of a load that fails."""

import pytest

from tests.support.gguf import gguf, head, text, u32
from workers.contract.errors import ModelLoadFailed

native = pytest.importorskip("workers.engines.llamacpp.native")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (head(architecture="nonsense"), "unknown model architecture: 'nonsense'"),
        (gguf(), "key not found in model: llama.embedding_length"),
        (b"GGUF and then nothing of the kind", "gguf"),
        (head(text("a") + b"\xff\xff\xff\xff", u32("llama.context_length", 1)), "gguf"),
    ],
)
def test_a_failed_load_says_why(tmp_path, content, says):
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelLoadFailed) as failed:
        native.Model(file, 0, lambda _fraction: None)
    assert says in str(failed.value)
    assert "no reason given" not in str(failed.value)


def test_a_line_that_comes_in_pieces_is_one():
    words = native._Words()
    words.take(2, "loading\n")
    words.take(5, " goes on\n")
    words.take(4, "error: ")
    words.take(5, "no room\n")
    words.take(3, "only a warning\n")
    words.take(5, " of it\n")
    words.take(4, "x" * 1000)
    assert str(words) == "error: no room; " + "x" * 500
    words.clear()
    assert str(words) == "no reason given"
