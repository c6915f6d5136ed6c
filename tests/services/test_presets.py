"""Presets as their users start them, on files that are all links to the shipped model."""

import pytest

from presets.catalogue import Catalogue
from tests.support.service import Service
from workers.cluster.directory import Directory


@pytest.mark.timeout(300)
@pytest.mark.parametrize("preset", ["D3", "D4", "T3"])
def test_a_preset_runs_and_each_of_its_models_answers(tmp_path, models_dir, preset):
    command = ("web.cli", "up", "--preset", preset)
    wanted = Catalogue.load(None, "llamacpp").preset(preset).models
    environment = {"INFERENCE_MODELS_DIR": str(models_dir)}
    with Service(tmp_path / "data", command=command, **environment) as service:
        listed = service.get("/v1/models").json()
        assert listed["config"] == preset
        loaded = {entry["id"] for entry in listed["data"] if entry["status"] == "loaded"}
        assert loaded == set(wanted)
        assert service.get("/health/ready").json()["config"] == preset
        for model in wanted:
            answer = service.post({**service.ask("Say hello.", max_tokens=4), "model": model})
            assert answer.status_code == 200
            assert answer.json()["model"] == model


def test_a_preset_nobody_knows_is_refused_with_the_nearest(scripted_service):
    ended = scripted_service.run("up", "--preset", "D33")
    assert ended.returncode == 2
    assert "did you mean 'D3'" in ended.stderr


def test_a_catalogue_that_is_wrong_is_refused_with_file_and_field(tmp_path, scripted_service):
    (tmp_path / "presets.yaml").write_text("presets:\n- {id: x, models: [phi-5], mode: single}\n")
    ended = scripted_service.run("up", INFERENCE_CATALOGUE_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "presets.yaml: x: hardware is missing" in ended.stderr


def test_presets_are_listed_and_shown(scripted_service):
    listed = scripted_service.run("presets", "list", "--mode", "debate")
    assert listed.returncode == 0
    assert "D3" in listed.stdout
    assert "T1 " not in listed.stdout
    shown = scripted_service.run("presets", "show", "d1")
    assert '"llama-3.2-3b": "1. draft"' in shown.stdout


def test_a_model_of_ones_own_with_its_own_concurrency(tmp_path):
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "own" / "models" / "mine.yaml").write_text(
        "id: mine\naliases: [my-own]\ncontext_length: 512\noptions: {concurrency: 3}\n"
    )
    environment = {
        "INFERENCE_CATALOGUE_DIR": str(tmp_path / "own"),
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_PRELOAD_MODELS": "mine",
    }
    with Service(tmp_path / "data", **environment) as service:
        answer = service.post({**service.ask({"text": "x"}), "model": "my-own"})
        assert answer.json()["model"] == "mine"
        (worker,) = Directory(service.redis(), ttl_s=0).serving("mine")
        assert (worker.concurrency, worker.context_length) == (3, 512)
