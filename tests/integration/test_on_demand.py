"""Requests for a model that is not loaded, where requests load their models."""

import pytest

from tests.support.waiting import wait_for
from web.app import create_app
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.settings import read

MODEL = "smollm2-135m"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}


def front_end(tmp_path, redis_socket, **environment):
    """The application of a front end on that Redis."""
    environ = {
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
        "INFERENCE_LOAD_ON_DEMAND": "true",
        "INFERENCE_REQUEST_TIMEOUT": "4",
        **environment,
    }
    return create_app(read(environ, env_file=None))


@pytest.fixture
def client(tmp_path, redis_socket, redis):
    """A front end beside a keeper and an `up` that only say that they are there."""
    redis.mset({keys.KEEPER: "k", keys.SUPERVISOR: "here"})
    app = front_end(tmp_path, redis_socket)
    yield app.test_client()
    app.extensions["inference"].hub.stop()


def test_a_stream_is_told_how_far_its_model_is(client, redis, monkeypatch):
    monkeypatch.setattr("web.render.chunks.PATIENCE_S", 0.05)
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=1))
    presence.start()
    try:
        presence.progress(0.4)
        wait_for(lambda: [w.progress for w in Directory(redis, ttl_s=0).workers()] == [0.4])
        answer = client.post("/v1/chat/completions", json={**BODY, "stream": True})
        assert next(answer.iter_encoded()) == b": loading 40%\n\n"
        answer.close()
        assert client.get(f"/v1/models/{MODEL}").get_json()["progress"] == 0.4
    finally:
        presence.stop()


def test_a_job_waits_for_its_model(client):
    taken = client.post("/v1/jobs", json={**BODY, "deadline_s": 60})
    assert (taken.status_code, taken.get_json()["position"]) == (202, 1)
    job = client.get(taken.get_json()["status_url"]).get_json()
    assert (job["state"], job["position"]) == ("queued", 1)
    assert client.post("/v1/jobs", json=BODY).get_json()["position"] == 2


def test_a_request_waits_for_its_model_as_long_as_a_request_may(client):
    answer = client.post("/v1/chat/completions", json=BODY)
    assert answer.get_json()["error"]["code"] == "REQUEST_TIMEOUT"
    assert "4 s (INFERENCE_REQUEST_TIMEOUT)" in answer.get_json()["error"]["message"]


def test_the_service_is_ready_though_nothing_is_loaded(client, redis):
    redis.sadd(keys.LOADED_ONCE, MODEL)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["loaded_models"]) == (200, [])


def test_what_is_scaled_from_outside_waits_for_its_first_worker(tmp_path, redis_socket, redis):
    redis.set(keys.KEEPER, "k")
    for autoscaled, status in (("false", 503), ("true", 202)):
        app = front_end(tmp_path, redis_socket, INFERENCE_AUTOSCALED=autoscaled)
        client = app.test_client()
        assert client.post("/v1/jobs", json=BODY).status_code == status
        assert client.get("/health/ready").status_code == (503 if status == 503 else 200)
        app.extensions["inference"].hub.stop()
