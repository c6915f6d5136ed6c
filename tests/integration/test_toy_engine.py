"""An engine is added without a change to the core: a request is answered by one of the tests' own.

A real worker's process on a real Valkey, and a front end in this process. `up` is not used: it
starts its workers by a command that knows the shipped engines alone.
"""

import os
import signal
import subprocess
import sys

import pytest

from tests.integration import toy_engine
from tests.support.waiting import wait_for
from web.app import create_app
from workers.contract import keys
from workers.settings import read


@pytest.fixture
def environ(tmp_path, redis_socket):
    """The settings of a service whose catalogue has the toy model."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "toy.yaml").write_text(toy_engine.DESCRIPTION)
    return {
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_CATALOGUE_DIR": str(tmp_path),
        "INFERENCE_PRELOAD_MODELS": toy_engine.MODEL,
        "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
    }


@pytest.fixture
def worker(environ, redis):
    """The worker's process, with the model loaded."""
    command = [sys.executable, "-m", toy_engine.__name__]
    with subprocess.Popen(command, env={**os.environ, **environ}) as process:
        try:
            wait_for(lambda: is_loaded(redis), 60)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture
def client(environ, redis):
    app = create_app(read(environ, env_file=None))
    yield app.test_client()
    app.extensions["inference"].hub.stop()


def is_loaded(redis):
    records = [redis.get(key) for key in redis.scan_iter(keys.worker("*"))]
    return any(b'"loaded"' in record for record in records if record)


def test_a_request_is_answered_by_an_engine_of_ones_own(worker, client):
    body = {
        "model": toy_engine.MODEL,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    answer = client.post("/v1/chat/completions", json=body).get_json()
    assert answer["choices"][0]["message"]["content"] == "three two one "
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 3
    answer = client.post("/v1/chat/completions", json={**body, "max_tokens": 1}).get_json()
    assert answer["choices"][0]["finish_reason"] == "length"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
