"""`inference-service pull` and `models`, as they are typed, with a hub on this machine."""

import errno
import json
import os
import shutil
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from presets.catalogue import Catalogue
from presets.fetching import pulling
from tests.support.front_end import free_port
from tests.support.gguf import gguf, head
from tests.support.hub import StandInHub
from web.cli.main import cli

MODEL = """id: {id}
context_length: 512
size_gb: 0.5
sources: {{gguf: {{repo: x/{id}, file: {id}.gguf}}}}
"""
PAIR = "presets:\n- {id: pair, models: [one, two], mode: debate, reconciler: one, hardware: mac}\n"
WEIGHTS = gguf(1024, size=5000)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with StandInHub() as server:
        # Both are made of HF_ENDPOINT when the client is imported.
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + template)
        server.repos = {f"x/{name}": {f"{name}.gguf": WEIGHTS} for name in ("one", "two")}
        yield server


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a command in an installation with two models, one preset, and no service."""
    for variable in [name for name in os.environ if name.startswith("INFERENCE_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    for name in ("one", "two"):
        (tmp_path / "own" / "models" / f"{name}.yaml").write_text(MODEL.format(id=name))
    (tmp_path / "own" / "presets.yaml").write_text(PAIR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INFERENCE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("INFERENCE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("INFERENCE_CATALOGUE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("INFERENCE_PORT", str(free_port()))
    return lambda *words: CliRunner().invoke(cli, words)


def test_a_model_is_pulled_and_then_found_right(command, hub, tmp_path):
    result = command("pull", "one")
    assert result.exit_code == 0, result.output
    there = tmp_path / "models" / "one" / "one.gguf"
    assert there.read_bytes() == WEIGHTS
    assert "one: 1 file, 0.00 GB, of x/one" in result.stdout
    assert "INFERENCE_PRELOAD_MODELS=one inference-service up" in result.stdout
    again = command("pull", "one")
    assert (again.exit_code, len(hub.sent("one.gguf"))) == (0, 1)
    assert f"{there} is there, and its checksum is right." in again.stdout


def test_of_a_preset_what_is_missing_is_pulled(command, hub, tmp_path):
    (tmp_path / "models" / "two").mkdir()
    (tmp_path / "models" / "two" / "of-another-name.gguf").write_bytes(gguf())
    result = command("pull", "PAIR")
    assert result.exit_code == 0, result.output
    assert "two is there" in result.stdout
    assert "inference-service up --preset pair" in result.stdout
    assert (len(hub.sent("one.gguf")), len(hub.sent("two.gguf"))) == (1, 0)


def test_the_total_of_a_preset_is_told_and_compared_with_the_disk(command, hub, monkeypatch):
    usage = SimpleNamespace(free=2 * len(WEIGHTS) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    result = command("pull", "pair")
    assert result.exit_code == 1
    assert "are free in" in result.stderr
    assert hub.sent("one.gguf") == []


def test_the_safetensors_are_pulled_for_vllm(command, hub, tmp_path):
    own = tmp_path / "own" / "models" / "one.yaml"
    own.write_text(own.read_text().replace("{gguf", "{hf: {repo: x/one-hf}, gguf"))
    hub.repos["x/one-hf"] = {"config.json": b"{}", "model.safetensors": b"weights"}
    result = command("pull", "one", "--hf")
    assert result.exit_code == 0, result.output
    there = {path.name for path in (tmp_path / "models" / "one").iterdir()}
    assert there == {"config.json", "model.safetensors"}
    none = command("pull", "two", "--hf")
    assert (none.exit_code, "names no safetensors of two" in none.stderr) == (1, True)


def test_a_split_model_is_pulled_whole_and_used(command, hub, tmp_path):
    hub.repos["x/one"] = {f"one-0000{n}-of-00002.gguf": gguf(1024, size=n) for n in (1, 2)}
    assert command("pull", "one").exit_code == 0
    catalogue = Catalogue.load(tmp_path / "models", "llamacpp", own=tmp_path / "own")
    assert catalogue.get("one") in catalogue.present
    assert catalogue.get("one").path.name == "one-00001-of-00002.gguf"


def test_names_that_nobody_knows(command):
    result = command("pull", "twoo")
    assert result.exit_code == 2
    assert "no model and no preset 'twoo'; did you mean 'two'?" in result.stderr


def test_what_is_refused_is_one_line_and_status_1(command, hub):
    hub.status = 503
    result = command("pull", "one")
    assert result.exit_code == 1
    assert result.stderr.startswith("inference-service pull: the hub at http://127.0.0.1")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_models_directory_pull_names_the_setting(command, hub, monkeypatch):
    monkeypatch.delenv("INFERENCE_MODELS_DIR")
    result = command("pull", "one")
    assert (result.exit_code, "INFERENCE_MODELS_DIR is not set" in result.stderr) == (2, True)
    assert hub.seen == []


def test_the_shipped_model_needs_no_pull(command):
    result = command("pull", "smollm2-135m")
    assert (result.exit_code, "smollm2-135m is there" in result.stdout) == (0, True)


def test_ctrl_c_is_told_with_what_to_do(command, hub, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("presets.fetching.hub.Hub.read", interrupt)
    result = command("pull", "one")
    assert (result.exit_code, "The same command continues it" in result.stderr) == (130, True)


def test_models_are_listed_present_and_missing(command, tmp_path):
    (tmp_path / "models" / "two").mkdir()
    (tmp_path / "models" / "two" / "two-00001-of-00002.gguf").write_bytes(gguf())
    (tmp_path / "models" / "one").mkdir()
    (tmp_path / "models" / "one" / "one.gguf").write_bytes(WEIGHTS)
    listed = json.loads(command("models", "list", "--json").stdout)
    rows = {entry["id"]: entry for entry in listed}
    assert (rows["one"]["status"], rows["two"]["status"]) == ("present", "missing")
    assert rows["one"]["files"] == [str(tmp_path / "models" / "one" / "one.gguf")]
    assert rows["two"]["files"] == [str(tmp_path / "models" / "two" / "two-00002-of-00002.gguf")]
    assert (rows["two"]["size_gb"], rows["one"]["fits"]) == (0.5, "light")
    for words in (("models",), ("models", "list")):
        table = command(*words)
        assert table.exit_code == 0
        assert "two-00002-of-00002.gguf" in table.stdout
        assert "inference-service pull MODEL" in table.stderr


def test_a_file_is_added_and_listed(command, tmp_path):
    (tmp_path / "My-Model-Q8_0.gguf").write_bytes(gguf(2048))
    result = command("models", "add", "My-Model-Q8_0.gguf")
    assert result.exit_code == 0, result.output
    assert "INFERENCE_PRELOAD_MODELS=my-model inference-service up" in result.stdout
    listed = json.loads(command("models", "list", "--json").stdout)
    (mine,) = (entry for entry in listed if entry["id"] == "my-model")
    assert (mine["status"], mine["context_length"]) == ("present", 2048)
    again = command("models", "add", "My-Model-Q8_0.gguf")
    assert (again.exit_code, "give it another with --id" in again.stderr) == (1, True)


@pytest.mark.parametrize("variable", ["INFERENCE_MODELS_DIR", "INFERENCE_CATALOGUE_DIR"])
def test_adding_needs_both_directories(command, monkeypatch, variable):
    monkeypatch.delenv(variable)
    result = command("models", "add", "mine.gguf")
    assert (result.exit_code, f"{variable} is not set" in result.stderr) == (2, True)


CHOICES = {
    "README.md": b"words",
    "My-Model-Q4_K_M.gguf": gguf(2048, size=4000, general__name="My Model"),
    "My-Model-Q8_0.gguf": gguf(2048, size=8000),
    "mmproj-My-Model-F16.gguf": gguf(None, general__type="mmproj"),
}
HUB_REPO = "someone/My-Model-GGUF"


@pytest.fixture
def repository(hub):
    hub.repos[HUB_REPO] = dict(CHOICES)
    return hub


def shown(command, model):
    return json.loads(command("show", model, "--json").stdout)


@pytest.mark.parametrize("host", ["hf.co/", "huggingface.co/", "https://huggingface.co/", ""])
def test_a_model_of_the_hub_is_pulled_and_described(command, repository, tmp_path, host):
    result = command("pull", host + HUB_REPO)
    assert result.exit_code == 0, result.output
    there = tmp_path / "models" / "my-model" / "My-Model-Q4_K_M.gguf"
    assert there.read_bytes() == CHOICES["My-Model-Q4_K_M.gguf"]
    assert "The file is My-Model-Q4_K_M.gguf." in result.stdout
    assert "INFERENCE_PRELOAD_MODELS=my-model inference-service up" in result.stdout
    spec = Catalogue.load(tmp_path / "models", "llamacpp", own=tmp_path / "own").get("my-model")
    assert (spec.context_length, spec.notes, spec.path) == (2048, "My Model", there)
    document = shown(command, "my-model")
    assert (document["status"], document["source"]) == ("present", HUB_REPO)


def test_it_is_pulled_again_by_either_name_and_deleted(command, repository, tmp_path):
    command("pull", HUB_REPO)
    for name in (HUB_REPO, f"{HUB_REPO}:q4_k_m", "my-model"):
        again = command("pull", name)
        assert (again.exit_code, "its checksum is right" in again.stdout) == (0, True), again.output
    # One to see what it is, each time, and one for all of it.
    whole = [asked for asked in repository.sent("My-Model-Q4_K_M.gguf") if asked is None]
    assert len(whole) == 1
    assert command("rm", "my-model", "--yes").exit_code == 0
    assert not (tmp_path / "models" / "my-model").exists()
    assert shown(command, "my-model")["status"] == "missing"
    assert command("pull", "my-model").exit_code == 0


def test_another_quantisation_is_another_model(command, repository, tmp_path):
    command("pull", HUB_REPO)
    assert command("pull", f"{HUB_REPO}:Q8_0").exit_code == 0
    assert (tmp_path / "models" / "my-model-q8_0" / "My-Model-Q8_0.gguf").is_file()
    assert command("pull", f"{HUB_REPO}:Q8_0", "--id", "mine").exit_code == 0
    assert (tmp_path / "models" / "mine" / "My-Model-Q8_0.gguf").is_file()
    taken = command("pull", f"{HUB_REPO}:Q8_0", "--id", "my-model")
    assert (taken.exit_code, "give this one an id with --id" in taken.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "options", "refusal"),
    [
        (f"{HUB_REPO}:Q5_K_M", (), "has no Q5_K_M; it has Q4_K_M (0.00 GB), Q8_0 (0.00 GB)"),
        (f"{HUB_REPO}:mmproj-My-Model-F16.gguf", (), "is a projector of images or sound"),
        ("someone/nothing", (), "shows no someone/nothing (401)"),
        ("some one/nothing", (), "is no repository"),
        ("hf.co/../../etc", (), "is no repository"),
        ("hf.co/a/b/c/d", (), "is no repository"),
        (HUB_REPO, ("--id", "../up"), "can be no id"),
        (HUB_REPO, ("--id", "one"), "there is another model 'one' already"),
        (HUB_REPO, ("--hf",), "has no config.json with *.safetensors"),
        (f"{HUB_REPO}:Q8_0", ("--hf",), "is fetched whole"),
    ],
)
def test_what_the_hub_has_not_is_one_line(command, repository, tmp_path, name, options, refusal):
    result = command("pull", name, *options)
    assert (result.exit_code, refusal in result.stderr) == (1, True), result.output
    assert len(result.stderr.splitlines()) == 1
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (gguf(general__type="adapter") + bytes(3_000_000), "an adapter (LoRA)"),
        (head(architecture="clip") + bytes(3_000_000), "a projector"),
        (b"<html>", "is no GGUF file"),
        (b"", "is no GGUF file"),
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_what_is_no_model_is_refused_before_it_comes(
    command, hub, tmp_path, content, refusal, ranges
):
    hub.ranges = ranges
    hub.repos["x/other"] = {"other.gguf": content}
    result = command("pull", "x/other")
    assert (result.exit_code, refusal in result.stderr) == (1, True), result.output
    assert list((tmp_path / "models").iterdir()) == []
    assert len(hub.sent("other.gguf")) <= 1


def test_a_gated_model_of_the_hub_wants_a_token(command, repository, monkeypatch):
    repository.gated.add(HUB_REPO)
    result = command("pull", HUB_REPO)
    assert (result.exit_code, "is gated: accept its terms at" in result.stderr) == (1, True)
    monkeypatch.setenv("HF_TOKEN", repository.token)
    assert command("pull", HUB_REPO).exit_code == 0


def test_a_private_model_of_the_hub_is_seen_with_a_token_alone(command, repository, monkeypatch):
    repository.private.add(HUB_REPO)
    hidden = command("pull", HUB_REPO)
    assert (hidden.exit_code, "if it is private or gated, set HF_TOKEN" in hidden.stderr) == (
        1,
        True,
    )
    monkeypatch.setenv("HF_TOKEN", repository.token)
    assert command("pull", HUB_REPO).exit_code == 0


def test_a_disk_that_fills_up_meanwhile_is_told_and_what_came_is_kept(
    command, repository, tmp_path, monkeypatch
):
    def write(gathering, data):
        if gathering.tell():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(gathering, data)

    whole = pulling._Gathering.write
    monkeypatch.setattr(pulling._Gathering, "write", write)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    result = command("pull", HUB_REPO)
    assert (result.exit_code, "No space left on device" in result.stderr) == (1, True)
    assert len(result.stderr.splitlines()) == 1
    (part,) = (tmp_path / "models" / "my-model").iterdir()
    assert part.stat().st_size == 1000


def test_a_files_own_name_does_nothing_to_the_terminal(command, hub, tmp_path):
    name = "\x1b[2J\x07Nice\r\n" + "x" * 5000
    hub.repos["x/nice"] = {"nice.gguf": gguf(1024, general__name=name)}
    assert command("pull", "x/nice").exit_code == 0
    notes = shown(command, "nice")["notes"]
    assert notes.isprintable()
    assert "Nice" in notes
    assert len(notes) <= 200


def test_a_split_model_of_the_hub(command, hub, tmp_path):
    parts = {f"Q8_0/big-Q8_0-0000{n}-of-00002.gguf": gguf(1024, size=n) for n in (1, 2)}
    hub.repos["x/big"] = parts
    assert command("pull", "x/big").exit_code == 0
    assert len(list((tmp_path / "models" / "big").iterdir())) == 2
    assert shown(command, "big")["status"] == "present"
    del hub.repos["x/big"]["Q8_0/big-Q8_0-00002-of-00002.gguf"]
    assert "has not all parts" in command("pull", "x/big").stderr


def test_safetensors_of_the_hub_are_for_vllm(command, hub, tmp_path, monkeypatch):
    config = b'{"max_position_embeddings": 2048}'
    hub.repos["x/Small"] = {"config.json": config, "model.safetensors": b"weights"}
    assert command("pull", "x/Small", "--hf").exit_code == 0
    monkeypatch.setenv("INFERENCE_BACKEND", "vllm")
    assert command("pull", "x/Small").exit_code == 0
    spec = Catalogue.load(tmp_path / "models", "vllm", own=tmp_path / "own").get("small")
    assert (spec.context_length, spec.hf.repo) == (2048, "x/Small")


def test_without_an_own_catalogue_the_files_place_is_enough(command, repository, monkeypatch):
    monkeypatch.delenv("INFERENCE_CATALOGUE_DIR")
    for _ in range(2):
        result = command("pull", HUB_REPO)
        assert (result.exit_code, "is not set" in result.stdout) == (0, True), result.output
    assert shown(command, "my-model")["status"] == "present"


def test_an_id_is_for_models_of_the_hub_alone(command):
    result = command("pull", "one", "--id", "other")
    assert (result.exit_code, "--id is for a model of a REPOSITORY" in result.stderr) == (2, True)
