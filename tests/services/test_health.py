"""Health and readiness, and what happens to answers when a worker dies."""

import signal
import threading

import psutil
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import await_end, submit
from tests.support.service import Service
from tests.support.waiting import wait_for
from workers.contract import keys

SCRIPTED = {"INFERENCE_BACKEND": "scripted"}
#: A dead worker's last beat counts for three seconds.
SEEN_DEAD_WITHIN_S = 6.0
RESTARTED_WITHIN_S = 30.0


@pytest.fixture
def narrow_service(narrow_service):
    """Whole again before each test: the one before may have killed its worker."""
    wait_for(narrow_service.is_ready, RESTARTED_WITHIN_S)
    wait_for(narrow_service.worker_pids)
    return narrow_service


@pytest.fixture
def halted_supervisor(narrow_service):
    """The service's supervisor stands still: what dies stays dead until it goes on."""
    supervisor = narrow_service.supervisor
    supervisor.suspend()
    yield supervisor
    supervisor.resume()


def test_health_says_what_it_is(scripted_service):
    answer = scripted_service.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert body["service"] == "inference-service"
    assert body["version"]


def test_ready_says_what_serves(scripted_service):
    assert scripted_service.readiness() == (
        200,
        {
            "status": "ready",
            "config": None,
            "loaded_models": [MODEL],
            "orchestration_mode": "single",
            "degraded": [],
            "models": [{"id": MODEL, "status": "loaded"}],
        },
    )


def test_not_ready_until_the_model_was_loaded(tmp_path):
    service = Service(tmp_path, **SCRIPTED)
    service.start()
    seen = []
    try:
        wait_for(lambda: seen.append(service.readiness()) or service.is_ready(), 60)
    finally:
        service.stop()
    unready = [answer for answer in seen if answer is not None and answer[0] == 503]
    for _, body in unready:
        assert body["status"] == "not_ready"
        assert body["reason"]
        assert body["progress"] == "0/1"


def test_a_dead_worker_shows_and_its_successor_too(narrow_service, halted_supervisor):
    (pid,) = narrow_service.worker_pids()
    psutil.Process(pid).kill()
    wait_for(lambda: narrow_service.readiness()[0] == 503, SEEN_DEAD_WITHIN_S)
    _, body = narrow_service.readiness()
    assert body["status"] == "not_ready"
    assert "worker" in body["reason"]
    early = submit(narrow_service, {"text": "early"})  # it is waited for: it answered a moment ago
    redis = narrow_service.redis()
    wait_for(lambda: not redis.exists(keys.served(MODEL)), keys.SERVED_TTL_MS / 1000 + 5)
    refused = narrow_service.post(narrow_service.ask())
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "NO_WORKER"
    assert int(refused.headers["Retry-After"]) >= 1
    assert narrow_service.get("/health").status_code == 200
    entries = narrow_service.get("/v1/models").json()["data"]
    (entry,) = [entry for entry in entries if entry["id"] == MODEL]
    assert entry["status"] == "available"
    halted_supervisor.resume()
    wait_for(narrow_service.is_ready, RESTARTED_WITHIN_S)
    assert narrow_service.worker_pids() != [pid]
    assert narrow_service.post(narrow_service.ask({"text": "back"})).status_code == 200
    assert await_end(narrow_service, early["id"])["state"] == "completed"


def test_one_model_of_two_without_worker_is_degraded(tmp_path):
    (tmp_path / "models" / "second").mkdir(parents=True)
    (tmp_path / "models" / "second" / "any.gguf").write_bytes(b"the scripted engine reads none")
    environment = {
        **SCRIPTED,
        "INFERENCE_MODELS_DIR": str(tmp_path / "models"),
        "INFERENCE_PRELOAD_MODELS": f"{MODEL},second",
    }
    with Service(tmp_path / "data", **environment) as service:
        assert service.readiness()[1]["loaded_models"] == sorted([MODEL, "second"])
        service.supervisor.suspend()
        try:
            (pid,) = service.worker_pids("second")
            psutil.Process(pid).kill()
            wait_for(lambda: service.readiness()[1]["degraded"], SEEN_DEAD_WITHIN_S)
            status, body = service.readiness()
            assert (status, body["loaded_models"], body["degraded"]) == (200, [MODEL], ["second"])
        finally:
            service.supervisor.resume()
        wait_for(lambda: service.readiness()[1]["degraded"] == [], RESTARTED_WITHIN_S)


def test_a_broken_model_is_reported_and_the_other_serves(tmp_path):
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "broken.gguf").write_bytes(b"not a model" * 50)
    environment = {
        "INFERENCE_MODELS_DIR": str(tmp_path / "models"),
        "INFERENCE_PRELOAD_MODELS": f"{MODEL},broken",
    }
    service = Service(tmp_path / "data", **environment)
    service.start()
    try:
        half = wait_for(
            lambda: (
                (readiness := service.readiness())
                and readiness[1].get("progress") == "1/2"
                and "could not be loaded" in readiness[1]["reason"]
                and readiness
            ),
            60,
        )
        assert half[0] == 503
        assert "broken" in half[1]["reason"]
        models = {entry["id"]: entry for entry in service.get("/v1/models").json()["data"]}
        assert models[MODEL]["status"] == "loaded"
        assert models["broken"]["status"] == "failed"
        assert models["broken"]["error"]["code"] == "MODEL_LOAD_FAILED"
        refused = service.post({**service.ask(), "model": "broken"})
        assert refused.status_code == 500
        assert refused.json()["error"]["code"] == "MODEL_LOAD_FAILED"
        assert "GGUF" in refused.json()["error"]["message"]
        assert service.post(service.ask(max_tokens=2)).status_code == 200
    finally:
        service.stop()


def test_a_stream_goes_on_when_its_worker_was_killed(narrow_service):
    words = " ".join(f"w{number}" for number in range(60))
    body = narrow_service.ask({"text": words, "tokens_per_s": 20})
    with narrow_service.open_stream(body) as stream:
        contents = stream.contents()
        text = next(contents)
        (pid,) = narrow_service.worker_pids()
        psutil.Process(pid).send_signal(signal.SIGKILL)
        text += "".join(contents)
    assert text == words


def test_a_plain_answer_waits_for_the_next_worker(narrow_service):
    answers = []
    body = narrow_service.ask({"text": "one two three four", "tokens_per_s": 2})
    asking = threading.Thread(target=lambda: answers.append(narrow_service.post(body)))
    asking.start()
    redis = narrow_service.redis()
    wait_for(lambda: redis.scard(f"inference:running:{MODEL}"))
    (pid,) = narrow_service.worker_pids()
    psutil.Process(pid).send_signal(signal.SIGKILL)
    asking.join(60)
    (answer,) = answers
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "one two three four"
    assert answer.json()["usage"]["completion_tokens"] == 4
