import pytest

from workers.planning import catalogue
from workers.settings import read

MODEL = "smollm2-135m"


@pytest.fixture
def settings(tmp_path):
    def make(**environ):
        return read({"INFERENCE_DATA_DIR": str(tmp_path), **environ}, env_file=None)

    return make


def test_a_tuned_format_replaces_the_catalogues(settings):
    assert catalogue.load(settings()).get(MODEL).format == "q8_0"
    catalogue.keep_format(settings(), MODEL, "bf16")
    assert catalogue.load(settings()).get(MODEL).format == "bf16"


def test_the_file_as_it_is_can_be_chosen_too(settings):
    catalogue.keep_format(settings(), MODEL, None)
    assert catalogue.load(settings()).get(MODEL).requantise is None


def test_choices_for_other_models_stay(settings):
    catalogue.keep_format(settings(), "other", "q4_0")
    catalogue.keep_format(settings(), MODEL, "bf16")
    assert catalogue.tuned_formats(settings()) == {"other": "q4_0", MODEL: "bf16"}


@pytest.mark.parametrize("text", ["{", "[]", '{"smollm2-135m": 3}', '{"smollm2-135m": {}}'])
def test_a_broken_file_leaves_the_catalogues_own(settings, text, caplog):
    catalogue.keep_format(settings(), MODEL, "bf16").write_text(text)
    assert catalogue.load(settings()).get(MODEL).format == "q8_0"
    assert "tuned.json" in caplog.text


def test_roles_are_those_of_the_settings(settings):
    chosen = settings(INFERENCE_MODEL_ROLES='{"smollm2-135m": ["fast", "primary"]}')
    assert catalogue.load(chosen).get(MODEL).roles == ("fast", "primary")
