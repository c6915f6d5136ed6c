"""The hash of a file of weights: made once, kept beside it, and made anew where that is another."""

import hashlib
import os

import pytest

from presets.model import ModelSpec, Reasoning
from presets.weights import file_hash, model_hash
from presets.weights.file_hash import beside

CONTENT = b"GGUF" + b"w" * file_hash.KEPT_FROM_BYTES
OTHER = b"GGUF" + b"v" * file_hash.KEPT_FROM_BYTES


@pytest.fixture
def elsewhere(tmp_path):
    return tmp_path / "hashes"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models" / "w.gguf"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def reads(monkeypatch):
    """The contents that were read, so far."""
    found = []
    real = hashlib.file_digest

    def digest(source, name):
        found.append(source.name)
        return real(source, name)

    monkeypatch.setattr(file_hash.hashlib, "file_digest", digest)
    return found


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_it_is_made_once_and_kept_beside_the_file(file, elsewhere, reads):
    assert [file_hash.of(file, elsewhere) for _ in range(3)] == [sha256(CONTENT)] * 3
    assert len(reads) == 1
    assert beside(file).is_file()
    assert not elsewhere.exists()


def test_another_file_of_the_same_name_and_time_has_another(file, elsewhere):
    before = file.stat()
    assert file_hash.of(file, elsewhere) == sha256(CONTENT)
    file.write_bytes(OTHER)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_hash.of(file, elsewhere) == sha256(OTHER)


def test_a_renamed_file_takes_none_with_it(file, elsewhere):
    file_hash.of(file, elsewhere)
    other = file.with_name("other.gguf")
    other.write_bytes(OTHER)
    other.replace(file)
    assert file_hash.of(file, elsewhere) == sha256(OTHER)


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"sha256": 1}',
        b"[" * 100_000,
        b'{"sha256": "' + b"a" * 64,
    ],
)
def test_what_is_kept_and_broken_is_made_anew(file, elsewhere, kept):
    file_hash.of(file, elsewhere)
    beside(file).write_bytes(kept)
    assert file_hash.of(file, elsewhere) == sha256(CONTENT)
    assert b"size_bytes" in beside(file).read_bytes()


def test_it_is_kept_elsewhere_where_the_directory_cannot_be_written(
    file, elsewhere, reads, monkeypatch
):
    beside(file).mkdir()  # as good as one without permission, for root too
    assert [file_hash.of(file, elsewhere) for _ in range(2)] == [sha256(CONTENT)] * 2
    assert len(reads) == 1
    assert len(list(elsewhere.iterdir())) == 1


def test_nothing_is_kept_beside_a_small_file(file, elsewhere):
    file.write_bytes(b"small")
    assert file_hash.of(file, elsewhere) == sha256(b"small")
    assert not beside(file).exists()


def test_a_model_has_another_hash_when_a_file_or_its_description_is_another(file, elsewhere):
    spec = ModelSpec("m", file, 100, backend="llamacpp")
    hashes = [model_hash.of(spec, elsewhere)]
    for fields in (
        {"chat_template": "{{ messages }}"},
        {"requantise": "q8_0"},
        {"reasoning": Reasoning("tags", "<a>", "</a>")},
        {"options": {"x": 1}},
    ):
        other = ModelSpec("m", file, 100, backend="llamacpp", **fields)
        hashes.append(model_hash.of(other, elsewhere))
    assert (
        model_hash.of(ModelSpec("other name", file, 50, backend="llamacpp"), elsewhere) == hashes[0]
    )
    file.write_bytes(OTHER)
    hashes.append(model_hash.of(spec, elsewhere))
    assert len(set(hashes)) == len(hashes)


def test_a_directory_of_safetensors_has_that_of_all_that_shapes_answers(tmp_path, elsewhere):
    directory = tmp_path / "m"
    directory.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        (directory / name).write_text(name)
    spec = ModelSpec("m", directory, 100, backend="vllm")
    before = model_hash.of(spec, elsewhere)
    (directory / "README.md").write_text("other words")
    assert model_hash.of(spec, elsewhere) == before
    (directory / "tokenizer.json").write_text("another")
    assert model_hash.of(spec, elsewhere) != before


def test_what_has_no_files_has_its_names_hash_and_what_is_missing_none(tmp_path, elsewhere):
    scripted = [ModelSpec(name, None, 100, backend="scripted") for name in ("a", "b")]
    assert len({model_hash.of(spec, elsewhere) for spec in scripted}) == 2
    with pytest.raises(OSError, match=r"gone\.gguf"):
        model_hash.of(ModelSpec("m", tmp_path / "gone.gguf", 100, backend="llamacpp"), elsewhere)
