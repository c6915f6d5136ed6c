"""Redis stops and comes back while the service runs."""

import time

import pytest

from tests.support.service import Service
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.websocket import Socket

#: Everything but the timeout of a connection that is refused at once.
AT_ONCE_S = 2.0
RECOVERED_WITHIN_S = 20.0


@pytest.fixture
def own_redis(tmp_path_factory):
    with Valkey(tmp_path_factory.mktemp("r"), persistent=True) as server:
        yield server


def test_503_at_once_and_recovery_without_restart(own_redis, tmp_path):
    environment = {"INFERENCE_BACKEND": "scripted", "INFERENCE_REDIS_URL": own_redis.url}
    with Service(tmp_path, **environment) as service:
        body = service.ask({"text": "one two three"})
        assert service.post(body).status_code == 200
        pids = {process.pid for process in service.left_over()}

        own_redis.stop()
        for stream in (False, True):
            began = time.monotonic()
            refused = service.post({**body, "stream": stream})
            assert time.monotonic() - began < AT_ONCE_S
            assert refused.status_code == 503
            error = refused.json()["error"]
            assert error["code"] == "BROKER_UNAVAILABLE"
            assert error["type"] == "retriable"
            assert "Retry-After" in refused.headers
        assert service.get("/health").json()["status"] == "ok"
        wait_for(lambda: service.readiness()[0] == 503, AT_ONCE_S)
        assert "Redis" in service.readiness()[1]["reason"]
        assert service.get("/v1/models").status_code == 503

        own_redis.start()
        wait_for(lambda: service.post(body).status_code == 200, RECOVERED_WITHIN_S)
        assert service.is_ready()
        # A standby may have come since.
        assert pids <= {process.pid for process in service.left_over()}


def test_an_answer_that_runs_survives_redis_away_for_a_moment(own_redis, tmp_path):
    environment = {"INFERENCE_BACKEND": "scripted", "INFERENCE_REDIS_URL": own_redis.url}
    text = "one two three four five six seven eight nine ten " * 4
    with Service(tmp_path, **environment) as service:
        body = service.ask({"text": text, "tokens_per_s": 10})
        with service.open_stream(body) as stream:
            contents = stream.contents()
            begun = next(contents)
            own_redis.stop()
            own_redis.start()
            assert begun + "".join(contents) == text


def test_a_cancel_over_a_socket_is_answered_while_redis_is_away(own_redis, tmp_path):
    environment = {"INFERENCE_BACKEND": "scripted", "INFERENCE_REDIS_URL": own_redis.url}
    with Service(tmp_path, **environment) as service:
        socket = Socket(service, "/v1/ws/chat")
        socket.say({"type": "chat", **service.ask({"text": "word " * 500, "tokens_per_s": 20})})
        while socket.next_event()["type"] != "token":
            pass
        own_redis.stop()
        socket.say({"type": "cancel"})
        heard, code = socket.rest()
        assert heard[-1]["error"]["code"] == "BROKER_UNAVAILABLE"
        assert code == 1011
        own_redis.start()
