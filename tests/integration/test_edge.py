"""The front end's own server without workers: connections, sockets, and their ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.front_end import free_port
from tests.support.metrics import scrape
from tests.support.waiting import wait_for
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.step import StepRequest, Timings, Usage
from workers.engines.base import Delta
from workers.runtime import generation
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

ROOT = Path(__file__).parents[2]
SOCKETS = 3
MODEL = "smollm2-135m"


class FrontEnd:
    """`inference-service web` alone."""

    def __init__(self, directory, redis_socket):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **{name: text for name, text in os.environ.items() if "INFERENCE_" not in name},
            "INFERENCE_DATA_DIR": str(directory),
            "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
            "INFERENCE_BACKEND": "scripted",
            "INFERENCE_PORT": str(self.port),
            "INFERENCE_WEB_THREADS": "16",
            "INFERENCE_MAX_SOCKETS": str(SOCKETS),
            "INFERENCE_HEAD_TIMEOUT_S": "1",
            "INFERENCE_MAX_INCOMPLETE_CONNECTIONS": "20",
            "INFERENCE_GRACE_S": "2",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "web"], cwd=ROOT, env=environment
        )
        wait_for(self.is_alive, 30)

    def is_alive(self):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        return False

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(15) == 0

    def connection(self):
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def open_socket(self):
        return connect(f"ws://127.0.0.1:{self.port}/v1/ws/chat")


@pytest.fixture(scope="module")
def front_end(tmp_path_factory, redis_socket):
    running = FrontEnd(tmp_path_factory.mktemp("front-end"), redis_socket)
    yield running
    running.stop()


def test_a_connection_serves_many_requests(front_end):
    with httpx.Client(base_url=front_end.url) as client:
        for _ in range(5):
            assert client.get("/health").status_code == 200
            assert client.post("/v1/chat/completions", json=[]).status_code == 422
            assert client.post("/v1/chat/completions", content=bytes(17 * 2**20)).status_code == 413
        chunks = iter([b"[", b"]"])
        assert client.post("/v1/chat/completions", content=chunks).status_code == 422


def test_more_half_requests_than_threads(front_end):
    with contextlib.ExitStack() as held:
        for _ in range(60):
            client = held.enter_context(front_end.connection())
            client.sendall(b"GET / HTTP/1.1\r\nHo")
        assert front_end.is_alive()
        client.settimeout(5)
        assert b" 408 " in client.recv(65536)


def test_what_never_becomes_a_request_is_counted_by_its_reason(front_end):
    def counts():
        found = scrape(SimpleNamespace(get=lambda path: httpx.get(front_end.url + path)))
        return {
            sample.labels["reason"]: sample.value
            for sample in found.samples
            if sample.name == "inference_refused_requests_total"
        }

    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    for sent, status in (
        (b"no HTTP\r\n\r\n", b" 400 "),
        (chunked, b" 400 "),
        (b"GET / HTTP/1.1\r\nX: " + bytes(70_000), b" 431 "),
        (b"GET / HT", b" 408 "),
    ):
        with front_end.connection() as client:
            client.settimeout(20)
            client.sendall(sent)
            assert status in client.recv(65536)
    expected = {"wrong_head", "wrong_chunk", "head_too_large", "late_head"}
    found = wait_for(lambda: counts() if expected <= counts().keys() else None, 20)
    assert found["wrong_head"] == found["wrong_chunk"] == found["head_too_large"] == 1


def test_more_idle_connections_than_threads(front_end):
    with contextlib.ExitStack() as held:
        for _ in range(60):
            client = held.enter_context(httpx.Client(base_url=front_end.url))
            assert client.get("/health").status_code == 200
        assert front_end.is_alive()


def test_who_waits_for_word_before_the_body_gets_it(front_end):
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    with front_end.connection() as client:
        client.settimeout(5)
        client.sendall(head)
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"[]")
        assert client.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_a_socket_says_what_is_wrong_and_closes(front_end):
    with front_end.open_socket() as client:
        client.send('{"type": "dance"}')
        assert json.loads(client.recv(timeout=5))["error"]["code"] == "VALIDATION_ERROR"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=5)
    assert closed.value.rcvd.code == 1008


def test_sockets_are_bounded_and_come_back(front_end):
    for _ in range(3):
        with contextlib.ExitStack() as held:
            for _ in range(SOCKETS):
                held.enter_context(front_end.open_socket())
            with pytest.raises(InvalidStatus) as refused:
                front_end.open_socket()
            assert refused.value.response.status_code == 503
            details = json.loads(refused.value.response.body)["error"]["details"]
            assert details == {"bound": "sockets", "limit": SOCKETS}

        def has_room():
            with contextlib.suppress(InvalidStatus), front_end.open_socket():
                return True
            return False

        wait_for(has_room)


class Says:
    """An engine with one answer of three tokens."""

    context_length, memory_bytes = 8192, 0

    def generate(self, request, cancelled):
        for number, word in enumerate(("one ", "two ", "three")):
            yield Delta(word, (number,))
        yield Delta(finish_reason="stop", usage=Usage(5, 3), timings=Timings(0, 0, 0))


@pytest.fixture
def answering(front_end, redis):
    """One request for the model is answered, on a thread of this process."""
    presence = Presence(redis, Worker("w", MODEL, pid=1, host="h", concurrency=1))
    leases, token_log = Leases(redis, "w"), TokenLog(redis)
    for started in (presence, leases, token_log):
        started.start()
    presence.loaded(1, 8192)
    model = f"{front_end.url}/v1/models/{MODEL}"
    wait_for(lambda: httpx.get(model).json()["status"] == "loaded")

    def answer():
        waiting = wait_for(lambda: redis.zrange(keys.waiting(MODEL), 0, 0), 20)
        job_id, _, step = waiting[0].decode().partition("|")
        request = StepRequest(job_id, step, MODEL, ends_job=True)
        generation.run(request, generation.StepRunner(Says(), leases, token_log))

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join(30)
    for stopped in (token_log, leases, presence):
        stopped.stop()


BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Count."}]}


def test_a_stream_comes_through(front_end, answering):
    with httpx.Client(base_url=front_end.url, timeout=20) as client:
        answer = client.post("/v1/chat/completions", json={**BODY, "stream": True})
        assert answer.status_code == 200
        assert answer.text.rstrip().endswith("data: [DONE]")
        frames = [
            json.loads(line[6:]) for line in answer.text.splitlines() if line[:7] == "data: {"
        ]
        choices = [choice for frame in frames for choice in frame["choices"]]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        assert text == "one two three"
        assert client.get("/health").status_code == 200


def test_a_plain_answer_comes_through(front_end, answering):
    answer = httpx.post(f"{front_end.url}/v1/chat/completions", json=BODY, timeout=20)
    assert answer.json()["choices"][0]["message"]["content"] == "one two three"


def test_a_chat_over_a_socket_comes_through(front_end, answering):
    with front_end.open_socket() as client:
        client.send(json.dumps({"type": "chat", **BODY}))
        messages = [json.loads(message) for message in client]
        assert client.close_code == 1000
    assert messages[0]["type"] == "accepted"
    assert "".join(m["text"] for m in messages if m["type"] == "token") == "one two three"
    assert messages[-1]["type"] == "completed"


def test_a_handshake_that_is_none_is_refused_over_http(front_end):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "7"}
    answer = httpx.get(f"{front_end.url}/v1/ws/chat", headers=headers)
    assert answer.status_code == 422
    assert "handshake" in answer.json()["error"]["message"]
