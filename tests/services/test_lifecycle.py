"""Starting and stopping: side by side, again, with the port taken, and by any signal."""

import os
import signal
import time

import psutil

from tests.support.front_end import MODEL
from tests.support.service import Service
from tests.support.waiting import wait_for

SCRIPTED = {"INFERENCE_BACKEND": "scripted"}


def test_two_services_side_by_side(tmp_path):
    with (
        Service(tmp_path / "one", **SCRIPTED) as first,
        Service(tmp_path / "two", **SCRIPTED) as second,
    ):
        for service, text in ((first, "first"), (second, "second")):
            answer = service.post(service.ask({"text": text}))
            assert answer.json()["choices"][0]["message"]["content"] == text
        with first.redis() as redis_of_one, second.redis() as redis_of_two:
            assert redis_of_one.dbsize() > 0
            assert redis_of_one.config_get("dir") != redis_of_two.config_get("dir")
        first.stop()
        assert second.post(second.ask({"text": "alone"})).status_code == 200


def test_sigterm_ends_a_running_answer_in_time_and_leaves_nothing(tmp_path):
    """`stop` itself asserts that no process is left."""
    service = Service(tmp_path, **SCRIPTED, INFERENCE_MAX_CONCURRENT_PER_MODEL="4")
    service.start()
    service.await_ready()
    body = service.ask({"text": "one two three four five six", "tokens_per_s": 5})
    with service.open_stream(body) as stream:
        contents = stream.contents()
        begun = next(contents)
        os.kill(service.supervisor.pid, signal.SIGTERM)
        assert begun + "".join(contents) == "one two three four five six"
    service.stop()


def test_ctrl_c_leaves_nothing(tmp_path):
    service = Service(tmp_path, **SCRIPTED)
    service.start()
    service.await_ready()
    os.kill(service.supervisor.pid, signal.SIGINT)
    service.stop()


def test_a_killed_supervisor_leaves_nothing(tmp_path):
    service = Service(tmp_path, **SCRIPTED)
    service.start()
    service.await_ready()
    os.kill(service.supervisor.pid, signal.SIGKILL)
    try:
        wait_for(lambda: service.left_over() == [], 30)
    finally:
        service.kill()


def test_a_second_start_is_ready_in_seconds_and_finds_what_was_stored(tmp_path):
    with Service(tmp_path) as first:
        assert first.post(first.ask(max_tokens=1)).status_code == 200
        with first.redis() as redis:
            redis.set("test:kept", "yes")
    began = time.monotonic()
    with Service(tmp_path) as second:
        assert time.monotonic() - began < 60
        assert second.post(second.ask(max_tokens=1)).status_code == 200
        with second.redis() as redis:
            assert redis.get("test:kept") == b"yes"


def test_a_second_service_in_the_same_directory_is_refused(scripted_service):
    other = Service(scripted_service.data_dir, **SCRIPTED)
    refused = other.run("up")
    assert refused.returncode == 1
    assert "INFERENCE_DATA_DIR" in refused.stderr
    assert scripted_service.is_ready()


def test_a_port_that_is_taken_is_said_so(scripted_service, tmp_path):
    other = Service(tmp_path, **SCRIPTED)
    refused = other.run("up", INFERENCE_PORT=str(scripted_service.port))
    assert refused.returncode == 1
    assert "INFERENCE_PORT" in refused.stderr


def test_a_front_end_that_dies_is_started_again(narrow_service):
    web = [
        process
        for process in narrow_service.supervisor.children()
        if process.cmdline()[-1:] == ["web"]
    ]
    psutil.Process(web[0].pid).kill()
    wait_for(lambda: not narrow_service.is_ready(), 10)
    wait_for(narrow_service.is_ready, 30)
    answer = narrow_service.post(narrow_service.ask({"text": "again"}))
    assert answer.json()["model"] == MODEL
