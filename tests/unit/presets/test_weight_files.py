"""Which file is a model's, and what is said of those that are missing."""

import pytest

from presets.catalogue import Catalogue
from presets.weights import split, weight_files
from tests.support.gguf import gguf


@pytest.mark.parametrize(
    ("name", "parts", "stem"),
    [
        ("w.gguf", ("w.gguf",), "w"),
        ("w-00002-of-00002.gguf", ("w-00001-of-00002.gguf", "w-00002-of-00002.gguf"), "w"),
        ("w-2-of-2.gguf", ("w-2-of-2.gguf",), "w-2-of-2"),
        ("w-00001-of-00000.gguf", ("w-00001-of-00000.gguf",), "w"),
    ],
)
def test_parts_by_name(name, parts, stem):
    assert split.parts(name) == parts
    assert split.stem(name) == stem


@pytest.fixture
def models(tmp_path):
    """A models directory: call it with the names of files in `big`."""

    def make(*names, model="big"):
        (tmp_path / model).mkdir()
        for name in names:
            (tmp_path / model / name).write_bytes(gguf(2048, size=100))
        return Catalogue.load(tmp_path, "llamacpp")

    return make


def test_a_split_file_is_one_model_of_the_size_of_all_parts(models):
    catalogue = models("w-00001-of-00002.gguf", "w-00002-of-00002.gguf")
    spec = catalogue.get("big")
    assert spec.path.name == "w-00001-of-00002.gguf"
    assert catalogue.estimate_bytes(spec) == 2 * len(gguf(2048, size=100))
    assert spec in catalogue.present
    assert weight_files.absence(spec) is None


@pytest.mark.parametrize(("there", "gone"), [((1, 2), 3), ((2, 3), 1)])
def test_a_split_file_without_one_of_its_parts_is_missing(models, tmp_path, there, gone):
    catalogue = models(*(f"w-0000{number}-of-00003.gguf" for number in there))
    spec = catalogue.get("big")
    assert spec not in catalogue.present
    assert weight_files.absence(spec) == (
        f"w-0000{gone}-of-00003.gguf (1 of its 3 parts) is not in {tmp_path / 'big'}; "
        "put what is missing there"
    )


def test_a_described_model_may_be_split(models):
    spec = models("w-00001-of-00002.gguf", model="phi-4").get("phi-4")
    assert "w-00002-of-00002.gguf (1 of its 2 parts)" in weight_files.absence(spec)
    assert "fetch with: inference-service pull phi-4" in weight_files.absence(spec)


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_fetch_it(tmp_path):
    spec = Catalogue.load(tmp_path, "llamacpp").get("phi-4")
    assert weight_files.absence(spec) == (
        f"phi-4-Q4_K_S.gguf is not in {tmp_path / 'phi-4'}; "
        "fetch with: inference-service pull phi-4"
    )


def test_without_a_models_directory_nothing_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phi-4").mkdir()
    (tmp_path / "phi-4" / "phi-4-Q4_K_S.gguf").write_bytes(gguf())
    spec = Catalogue.load(None, "llamacpp").get("phi-4")
    assert "set INFERENCE_MODELS_DIR, then run: inference-service pull" in weight_files.absence(
        spec
    )


def test_a_relative_models_directory(models, tmp_path, monkeypatch):
    models("w.gguf")
    monkeypatch.chdir(tmp_path.parent)
    relative = tmp_path.relative_to(tmp_path.parent)
    catalogue = Catalogue.load(relative, "llamacpp")
    assert catalogue.get("big") in catalogue.present


def test_the_scripted_engine_needs_no_file(tmp_path):
    spec = Catalogue.load(tmp_path, "scripted").get("phi-4")
    assert weight_files.absence(spec) is None
    assert weight_files.files(spec) == ()
