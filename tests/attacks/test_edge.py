"""Attacks on the way in: heads, bodies and names, before a request reaches the application."""

import contextlib
import json
import socket
import time

import httpx
import pytest

from tests.attacks.conftest import ATTACKER, BODY_TIMEOUT_S, HEAD_TIMEOUT_S, bearer

#: The longest a refusal may take.
AT_ONCE_S = 3.0
MB = 2**20


@contextlib.contextmanager
def connections(service, count, data):
    """So many connections, each of which has sent some bytes."""
    with contextlib.ExitStack() as held:
        opened = []
        for _ in range(count):
            client = held.enter_context(socket.create_connection(("127.0.0.1", service.port), 10))
            client.sendall(data)
            opened.append(client)
        yield opened


def answer_of(client, within_s):
    """Everything that comes up to the close, and the error in it, if any."""
    client.settimeout(within_s)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            received += data
    head, _, content = received.partition(b"\r\n\r\n")
    return head, json.loads(content)["error"] if content else None


def refused_at_once(service, content, status, code, headers=None):
    """The error with which a body is refused within a second."""
    begun = time.monotonic()
    answer = httpx.post(
        f"{service.url}/v1/chat/completions",
        content=content,
        headers={"Content-Type": "application/json", **bearer(ATTACKER), **(headers or {})},
        timeout=30,
    )
    took_s = time.monotonic() - begun
    assert answer.status_code == status, answer.text[:300]
    error = answer.json()["error"]
    assert error["code"] == code
    assert took_s < AT_ONCE_S
    return error


def test_half_heads_take_no_thread(attacked, honest):
    """600 are more than there are threads, and more than may be incomplete."""
    with connections(attacked, 600, b"POST /v1/chat/completions HTTP/1.1\r\nHost: local") as opened:
        head, error = answer_of(opened[0], AT_ONCE_S)
        assert b" 503 " in head
        assert error["details"]["bound"] == "incomplete"
        head, error = answer_of(opened[-1], HEAD_TIMEOUT_S + 3)
        assert b" 408 " in head
        assert error["code"] == "REQUEST_INCOMPLETE"
        assert "INFERENCE_HEAD_TIMEOUT_S" in error["message"]


def test_silent_and_idle_connections_take_no_thread(attacked, honest):
    whole = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{attacked.port}\r\n\r\n".encode()
    with connections(attacked, 300, b""), connections(attacked, 300, whole):
        assert httpx.get(f"{attacked.url}/health", timeout=AT_ONCE_S).status_code == 200


def test_half_bodies_take_no_thread(attacked, honest):
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {ATTACKER}\r\nContent-Type: application/json\r\n"
    )
    length = f"{head}Content-Length: 1000\r\n\r\n".encode() + b'{"model"'
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b'5\r\n{"mod'
    with connections(attacked, 150, length) as first, connections(attacked, 150, chunked) as second:
        for client in (first[-1], second[-1]):
            head, error = answer_of(client, BODY_TIMEOUT_S + 3)
            assert b" 408 " in head
            assert "INFERENCE_BODY_TIMEOUT_S" in error["message"]


def test_bodies_that_stand_still_leave_room_for_others(attacked, honest):
    """78 MB are sent, of which 32 may be held: the oldest make room."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {ATTACKER}\r\nContent-Length: {14 * MB}\r\n\r\n"
    ).encode()
    with connections(attacked, 6, head) as opened:
        for client in opened:
            client.sendall(bytes(13 * MB))
        refused_at_once(attacked, b" " * 13 * MB + b"{}", 422, "VALIDATION_ERROR")
        head, error = answer_of(opened[0], BODY_TIMEOUT_S + 3)
        assert b" 503 " in head
        assert b"Retry-After: " in head
        assert (error["code"], error["details"]["bound"]) == ("TEMPORARY_RESOURCE", "bodies")


@pytest.mark.parametrize(
    ("content", "status", "code", "bound"),
    [
        (
            b'{"model":"m","messages":[' + b"0," * 7_500_000 + b"0]}",
            413,
            "PAYLOAD_TOO_LARGE",
            "values",
        ),
        (
            json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}] * 300_000}),
            413,
            "PAYLOAD_TOO_LARGE",
            "values",
        ),
        (
            json.dumps({"model": "m", "messages": [{}] * 50_000}),
            422,
            "VALIDATION_ERROR",
            "messages",
        ),
        (
            json.dumps({"model": "m", "messages": [{"role": "user", "content": ""}] * 15_000}),
            422,
            "VALIDATION_ERROR",
            "messages",
        ),
        (b'{"model":' * 1_500_000, 400, "MALFORMED_JSON", "depth"),
        (b'{"model":' + b"9" * 5_000 + b"}", 422, "VALIDATION_ERROR", "number"),
    ],
    ids=["zeros", "tiny messages", "empty messages", "messages", "depth", "digits"],
)
def test_what_is_large_once_parsed_is_refused_before(
    attacked, honest, content, status, code, bound
):
    error = refused_at_once(attacked, content, status, code)
    assert error["details"]["bound"] == bound


def test_a_body_over_the_limit_is_413_to_an_ordinary_client(attacked, honest):
    error = refused_at_once(attacked, bytes(40 * MB), 413, "PAYLOAD_TOO_LARGE")
    assert "INFERENCE_MAX_BODY_MB" in error["message"]


def test_a_chunked_body_over_the_limit_is_413(attacked, honest):
    chunks = (b" " * MB for _ in range(40))
    refused_at_once(attacked, chunks, 413, "PAYLOAD_TOO_LARGE")


def test_a_body_whose_client_asks_first_is_not_sent(attacked):
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {ATTACKER}\r\nContent-Length: {40 * MB}\r\n\r\n"
    ).encode()
    with connections(attacked, 1, head) as (client,):
        head, error = answer_of(client, AT_ONCE_S)
    assert b" 413 " in head
    assert error["code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_to_an_address_that_takes_none_is_small(attacked):
    answer = httpx.post(
        f"{attacked.url}/v1/models/smollm2-135m/load",
        content=bytes(MB),
        headers=bearer(ATTACKER),
    )
    assert answer.status_code == 413


def test_a_large_body_without_a_key_is_unauthorized(attacked):
    answer = httpx.post(f"{attacked.url}/v1/chat/completions", content=bytes(40 * MB))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 12_000, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused_in_our_format(attacked, sent, status):
    with connections(attacked, 1, sent) as (client,):
        head, error = answer_of(client, AT_ONCE_S)
    assert f" {status} ".encode() in head
    assert b"application/json" in head
    assert set(error) == {"code", "message", "type", "param", "provider", "details"}


def test_a_rebound_name_is_refused(attacked, honest):
    rebound = {"Host": f"evil.example:{attacked.port}", "Origin": "http://evil.example"}
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/models/smollm2-135m/unload")):
        answer = httpx.request(method, attacked.url + path, headers={**rebound, **bearer(ATTACKER)})
        assert answer.status_code == 403
        assert "INFERENCE_ALLOWED_HOSTS" in answer.json()["error"]["message"]
    assert httpx.get(f"{attacked.url}/health", headers=rebound).status_code == 200


def test_readers_that_do_not_read_are_left(attacked, honest):
    """Each asks again and again for a long answer and takes none of it."""
    pipelined = (
        f"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ATTACKER}\r\n\r\n"
    ).encode()
    with connections(attacked, 20, pipelined * 200):
        answer = httpx.get(f"{attacked.url}/v1/models", headers=bearer(ATTACKER), timeout=30)
        assert answer.status_code == 200


def test_requests_that_come_together_are_answered_in_turn(attacked):
    request = f"GET /health HTTP/1.1\r\nHost: localhost:{attacked.port}\r\n"
    both = f"{request}\r\n{request}Connection: close\r\n\r\n".encode()
    with connections(attacked, 1, both) as (client,):
        client.settimeout(AT_ONCE_S)
        received = b""
        while data := client.recv(65536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 2
