"""Models that are directories of safetensors."""

import json

import pytest

from presets.catalogue import SHIPPED, Catalogue
from presets.weights import safetensors


@pytest.fixture
def models_dir(tmp_path):
    return tmp_path / "models"


def make(models_dir, name, config=None, weights=("model.safetensors",)):
    directory = models_dir / name
    directory.mkdir(parents=True)
    if config is not None:
        (directory / "config.json").write_text(json.dumps(config))
    for file in weights:
        (directory / file).write_bytes(b"12345678")
    return directory


def test_a_model_is_its_configuration_and_weights(models_dir):
    assert not safetensors.holds_model(models_dir / "nowhere")
    assert not safetensors.holds_model(make(models_dir, "a"))
    assert not safetensors.holds_model(make(models_dir, "b", config={}, weights=()))
    whole = make(models_dir, "c", config={}, weights=("m-1.safetensors", "m-2.safetensors"))
    assert safetensors.holds_model(whole)
    assert [file.name for file in safetensors.files(whole)] == [
        "config.json",
        "m-1.safetensors",
        "m-2.safetensors",
    ]


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"text_config": {"max_position_embeddings": 256}}, 256),
        ({"max_position_embeddings": "many"}, 99),
        ([], 99),
        ({}, 99),
        (None, 99),
    ],
)
def test_the_context_is_the_configurations_where_it_says(models_dir, config, length):
    assert safetensors.context_length(make(models_dir, "m", config), unknown=99) == length


def test_a_directory_of_safetensors_is_a_model_of_vllm(models_dir):
    directory = make(models_dir, "mine", {"max_position_embeddings": 512})
    catalogue = Catalogue.load(models_dir, "vllm")
    spec = catalogue.get("mine")
    assert (spec.path, spec.context_length, spec.backend) == (directory, 512, "vllm")
    assert spec in catalogue.present
    assert 8 < catalogue.estimate_bytes(spec) < 100
    assert catalogue.wanted(None) == ("mine",)
    assert not Catalogue.load(models_dir, "llamacpp").has("mine")


def test_a_described_model_is_its_directory(models_dir):
    directory = make(models_dir, SHIPPED, {"max_position_embeddings": 512})
    spec = Catalogue.load(models_dir, "vllm").get(SHIPPED)
    assert (spec.path, spec.context_length, spec.requantise) == (directory, 512, None)


def test_a_described_model_that_is_not_there_keeps_what_its_file_says(models_dir):
    catalogue = Catalogue.load(models_dir, "vllm")
    spec = catalogue.get("qwen3-8b")
    assert (spec.path, spec.context_length) == (models_dir / "qwen3-8b", 32768)
    assert spec not in catalogue.present
    assert catalogue.estimate_bytes(spec) == spec.size_bytes > 0
