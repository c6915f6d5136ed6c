import pytest

from presets.catalogue import SHIPPED, Catalogue, UnknownModel
from presets.weights.gguf import NotGGUF, read_metadata
from tests.support.gguf import gguf


@pytest.fixture
def models_dir(tmp_path):
    for name, content in {"small": gguf(1024), "large": gguf(4096, size=5000)}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.gguf").write_bytes(content)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_directory_with_a_gguf_is_a_model(models_dir):
    spec = Catalogue.load(models_dir, "llamacpp").get("large")

    assert spec.context_length == 4096
    assert spec.roles == ("primary",)
    assert spec.path == models_dir / "large" / "weights.gguf"


def test_the_shipped_model_is_there_without_any_other():
    catalogue = Catalogue.load(None, "llamacpp")

    shipped = catalogue.get(SHIPPED)
    assert shipped.requantise == "q8_0"
    assert shipped.path is not None
    assert shipped.path.is_file()
    assert catalogue.wanted(None) == (SHIPPED,)


def test_the_smallest_own_model_is_wanted_unless_others_are_named(models_dir):
    catalogue = Catalogue.load(models_dir, "llamacpp")

    assert catalogue.wanted(None) == ("small",)
    assert catalogue.wanted(("large", SHIPPED)) == ("large", SHIPPED)


def test_an_unknown_name_gets_the_nearest(models_dir):
    with pytest.raises(UnknownModel, match="did you mean 'small'") as caught:
        Catalogue.load(models_dir, "llamacpp").get("smal")

    assert caught.value.suggestion == "small"


@pytest.mark.parametrize("name", ["../../etc/passwd", "small/../large", "", "small\x00"])
def test_a_name_cannot_leave_the_models_directory(models_dir, name):
    with pytest.raises(UnknownModel):
        Catalogue.load(models_dir, "llamacpp").get(name)


def test_roles_can_be_replaced(models_dir):
    catalogue = Catalogue.load(models_dir, "llamacpp", {"small": ("critic",)})

    assert catalogue.get("small").roles == ("critic",)
    assert catalogue.get("large").roles == ("primary",)


def test_a_broken_file_stays_in_the_catalogue_for_its_worker_to_report(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "w.gguf").write_bytes(b"no model at all")

    assert Catalogue.load(tmp_path, "llamacpp").get("broken").context_length > 0


@pytest.mark.parametrize("length", [0, 4, 10, 24, 40, 80, 120])
def test_a_truncated_head_is_refused(tmp_path, length):
    file = tmp_path / "w.gguf"
    file.write_bytes(gguf(1024)[:length])

    with pytest.raises(NotGGUF):
        read_metadata(file)


def test_the_metadata_are_read(tmp_path):
    file = tmp_path / "w.gguf"
    file.write_bytes(gguf(1024))

    assert read_metadata(file) == {"general.architecture": "llama", "llama.context_length": 1024}
