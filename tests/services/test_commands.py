"""The other commands, beside a running service, and the other way to start one."""

import contextlib
import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.front_end import MODEL, free_port
from tests.support.service import Service
from tests.support.waiting import wait_for

SCRIPTED = {"INFERENCE_BACKEND": "scripted"}


def test_chat_streams_an_answer_to_the_terminal(scripted_service):
    script = json.dumps({"scripted": {"text": "The sea is calm."}})
    command = scripted_service.run("chat", script)
    assert command.returncode == 0, command.stderr
    assert command.stdout.strip().endswith("The sea is calm.")


def test_chat_says_what_went_wrong(scripted_service):
    command = scripted_service.run("chat", "hello", "--model", "nobody")
    assert command.returncode != 0
    assert "nobody" in command.stderr


def test_a_job_from_the_terminal(scripted_service):
    script = json.dumps({"scripted": {"text": "The sea is calm."}})
    taken = scripted_service.run("submit", "-m", MODEL, "--priority", "high", script)
    assert taken.returncode == 0, taken.stderr
    job_id = taken.stdout.strip()
    watched = scripted_service.run("jobs", "watch", job_id)
    assert (watched.returncode, watched.stdout.strip()) == (0, "The sea is calm.")
    shown = json.loads(scripted_service.run("jobs", "show", job_id).stdout)
    assert (shown["state"], shown["priority"]) == ("completed", 3)
    assert job_id in scripted_service.run("jobs", "list", "--state", "completed").stdout
    assert scripted_service.run("jobs", "cancel", job_id).stdout.strip() == "completed"


def test_a_job_that_is_refused_or_not_there_is_said(scripted_service):
    refused = scripted_service.run("submit", "-m", "nobody", "hello")
    assert refused.returncode == 1
    assert "nobody" in refused.stderr
    missing = scripted_service.run("jobs", "watch", "chatcmpl-none")
    assert missing.returncode == 1
    assert "chatcmpl-none" in missing.stderr


def test_models_shows_what_is_loaded(scripted_service):
    command = scripted_service.run("models")
    assert MODEL in command.stdout
    assert "loaded" in command.stdout


def test_without_a_service_models_shows_the_catalogue(tmp_path):
    command = Service(tmp_path, **SCRIPTED).run("models")
    assert command.returncode == 0
    assert MODEL in command.stdout
    assert "No service answers" in command.stderr


def test_config_shows_where_each_value_came_from(scripted_service):
    command = scripted_service.run("config", "--json")
    settings = {row["variable"]: row for row in json.loads(command.stdout)["settings"]}
    assert settings["INFERENCE_BACKEND"]["value"] == "scripted"
    assert settings["INFERENCE_BACKEND"]["source"] == "environment"
    assert settings["INFERENCE_LOG_LEVEL"]["source"] == "default"


@pytest.mark.parametrize("command", ["web", "worker", "up", "redis"])
def test_a_bad_setting_stops_every_command_and_is_named(tmp_path, command):
    result = Service(tmp_path, INFERENCE_GRACE_S="soon").run(command)
    assert result.returncode == 2
    assert "INFERENCE_GRACE_S='soon'" in result.stderr


def test_flower_shows_queues_and_tasks_by_model_to_who_knows_its_password(tmp_path):
    port = free_port()
    auth = ("ops", "a-password")
    flower = {
        "INFERENCE_FLOWER_PORT": str(port),
        "INFERENCE_FLOWER_AUTH": ":".join(auth),
        **SCRIPTED,
    }
    with Service(tmp_path, command=("web.cli", "up", "--flower"), **flower) as service:
        pages = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

        def page(path):
            with contextlib.suppress(httpx.TransportError):
                answer = pages.get(path, auth=auth)
                return answer.text if answer.status_code == 200 else ""
            return ""

        def knows_a_task():  # of those that ended before it asked for events it knows nothing
            assert service.post(service.ask({"text": "hi"})).status_code == 200
            return f"generate.{MODEL}" in page("/api/task/types")

        wait_for(lambda: f"{MODEL}@" in page("/workers"), 30)
        queues = page("/broker")  # with nothing refreshed by hand
        assert f"model.{MODEL}" in queues
        assert "orchestration" in queues
        wait_for(knows_a_task, 30, every_s=0.5)
        for path in ("/", "/workers", "/broker", "/api/tasks", "/metrics", "/healthcheck"):
            for wrong in (None, ("ops", "another")):
                assert pages.get(path, auth=wrong).status_code == 401, path
        pages.close()
        said = (service.data_dir / "up.log").read_text()
        assert said.count(f"Flower: http://127.0.0.1:{port}") == 1


def test_the_procfile_starts_it_all(tmp_path):
    """Under honcho, which stops all when it is told to stop."""
    commands = Path(sys.executable).parent
    environment = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "INFERENCE_FLOWER_PORT": str(free_port()),
        **SCRIPTED,
    }
    service = Service(tmp_path, command=("honcho", "start"), **environment)
    service.start()
    service.await_ready()
    assert service.post(service.ask({"text": "hi"})).status_code == 200
    service.stop(status=None)
