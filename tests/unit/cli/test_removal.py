"""What `rm` deletes, and what it never does."""

import pytest

from presets.fetching import removal
from presets.model import ModelSpec


@pytest.fixture
def spec(tmp_path):
    directory = tmp_path / "models" / "mine"
    directory.mkdir(parents=True)
    (directory / "mine-00001-of-00002.gguf").write_bytes(b"GGUF1")
    (directory / "mine-00002-of-00002.gguf").write_bytes(b"GGUF22")
    return ModelSpec("mine", directory / "mine-00001-of-00002.gguf", 64)


def test_all_parts_and_unfinished_downloads_go_and_their_directory(spec, tmp_path):
    (spec.path.parent / ".mine.gguf.0123.part").write_bytes(b"abc")
    planned = removal.plan(spec, tmp_path / "models")
    assert (len(planned.files), planned.size_bytes) == (3, 14)
    removal.remove(planned)
    assert not spec.path.parent.exists()
    assert (tmp_path / "models").is_dir()


def test_what_else_is_in_the_directory_stays(spec, tmp_path):
    (spec.path.parent / "notes.txt").write_text("mine")
    removal.remove(removal.plan(spec, tmp_path / "models"))
    assert [file.name for file in spec.path.parent.iterdir()] == ["notes.txt"]


def test_files_elsewhere_and_behind_a_linked_directory_stay(spec, tmp_path):
    with pytest.raises(removal.NothingToRemove, match="Its files are elsewhere"):
        removal.plan(spec, tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").symlink_to(spec.path.parent)
    linked = ModelSpec("mine", tmp_path / "other" / "mine" / spec.path.name, 64)
    with pytest.raises(removal.NothingToRemove):
        removal.plan(linked, tmp_path / "other")


def test_without_a_models_directory_nothing_is_deleted(spec):
    with pytest.raises(removal.NothingToRemove, match="INFERENCE_MODELS_DIR is not set"):
        removal.plan(spec, None)
