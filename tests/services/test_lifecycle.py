"""Starting and stopping: side by side, again, with the port taken, and by any signal."""

import itertools
import os
import signal
import time

import httpx
import psutil

from tests.support.front_end import MODEL
from tests.support.jobs import frames
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


def test_a_front_end_that_is_stopped_closes_a_stream_and_its_job_goes_on(narrow_service):
    text = " ".join(str(number) for number in range(800))
    body = {**narrow_service.ask({"text": text, "tokens_per_s": 5}), "stream": True}
    seen, error = "", None
    url = f"{narrow_service.url}/v1"
    with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as answer:
        for seq, _, frame in frames(answer):
            if "error" in frame:
                error = frame["error"]
                continue
            if not seen:
                _stop_front_end(narrow_service)
            job_id, last = frame["id"], seq
            seen += frame["choices"][0]["delta"].get("content") or ""
    assert error["code"] == "FRONT_END_STOPPING"
    assert error["details"] == {"job_id": job_id, "last_event_id": last}
    wait_for(narrow_service.is_ready, 60)
    after = {"Last-Event-ID": str(last)}
    with httpx.stream("GET", f"{url}/jobs/{job_id}/events", headers=after, timeout=60) as answer:
        for _, kind, event in itertools.islice(frames(answer), 5):
            assert kind == "token"
            seen += event["text"]
    assert text.startswith(seen)
    assert narrow_service.delete(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"


def _stop_front_end(service):
    """SIGTERM to the front end alone, as a rolling upgrade sends it."""
    for process in service.supervisor.children():
        if process.cmdline()[-1:] == ["web"]:
            process.terminate()


def test_a_worker_that_is_drained_ends_its_answer_and_comes_back(narrow_service):
    (pid,) = narrow_service.worker_pids()
    body = narrow_service.ask({"text": "one two three four five six", "tokens_per_s": 3})
    with narrow_service.open_stream(body) as stream:
        contents = stream.contents()
        text = next(contents)
        drained = narrow_service.run("drain", MODEL, "--no-wait")
        assert "is draining" in drained.stdout, drained.stderr
        assert text + "".join(contents) == "one two three four five six"
    wait_for(lambda: pid not in narrow_service.worker_pids(), 60)
    wait_for(lambda: narrow_service.worker_pids() and narrow_service.is_ready(), 60)
    assert narrow_service.post(narrow_service.ask({"text": "again"})).status_code == 200
