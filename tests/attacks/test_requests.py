"""Requests that can be understood in two ways, and bodies and ids that are odd, not large."""

import contextlib
import json
import socket
import time

import httpx
import pytest

from tests.attacks.conftest import ATTACKER, bearer
from tests.support.waiting import wait_for

POST = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {ATTACKER}\r\n"
)
GET = f"HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {ATTACKER}\r\n"
NEXT = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: The longest any of these may take.
AT_ONCE_S = 3.0
#: An object of 50 levels.
DEEP = json.loads('{"a":' * 50 + "1" + "}" * 50)


def exchange(service, request, within_s=5):
    """Everything that comes up to the close."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.port), within_s) as client:
        client.sendall(request.encode("latin-1"))
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(65536):
                received += data
    return received


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2, 2\r\n\r\n{}",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: 0x2\r\n\r\n{}",
        "Content-Length: -1\r\n\r\n",
        f"Content-Length: {'9' * 5000}\r\n\r\n",
        "Content-Length: 2\r\n X: folded\r\n\r\n{}",
        "X: a\rContent-Length: 2\r\n\r\n{}",
        "X: a\nContent-Length: 2\r\n\r\n{}",
        "X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        "Host: evil.example\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "A: b\r\n" * 3000,
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(attacked, honest, framing):
    """What comes after it is no second request: the connection is closed."""
    received = exchange(attacked, POST + framing + NEXT)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.split()[1] in (b"400", b"501")


def test_version_1_0_is_answered_and_closed(attacked, honest):
    received = exchange(attacked, "GET /health HTTP/1.0\r\n\r\n")
    assert received.split()[1] == b"200"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/%00", 404),
        ("/v1/jobs/{job}:events", 404),
        ("/v1/jobs/{job}%7Canswer", 404),
        ("/v1/jobs/{job}:webhook", 404),
        ("/v1/jobs/*", 404),
        ("/v1/jobs/%ff%fe", 404),
        ("/v1/jobs/" + "a" * 4000, 404),
        ("/v1/jobs/" + "a" * 5000, 414),
        ("/v1/jobs/..%2f..%2fhealth", 404),
        ("/v1/models/..%2f..%2fetc%2fpasswd", 404),
        ("/v1/models/%2e%2e", 404),
        ("/v1/jobs?limit=%EF%BC%91", 422),
        ("/v1/jobs?state=__class__", 422),
        ("/v1/jobs?after=%7C%3A%00", 200),
        ("//evil.example/v1/models", 404),
    ],
)
def test_an_odd_address_is_no_other_ones(attacked, honest, path, status):
    job = submitted(attacked, text="fine")
    received = exchange(attacked, f"GET {path.format(job=job)} {GET}\r\n")
    assert int(received.split()[1]) == status, received[:500]


@pytest.mark.parametrize("given", ["-1", "1e999", "99999999999999999999", "\xb2", "1; x", "0x1"])
def test_a_last_event_id_that_is_none_is_refused(attacked, honest, given):
    job = submitted(attacked, text="fine")
    received = exchange(attacked, f"GET /v1/jobs/{job}/events {GET}Last-Event-ID: {given}\r\n\r\n")
    assert b"INVALID_EVENT_ID" in received


def test_a_path_forges_no_line_of_the_log(attacked, honest):
    exchange(attacked, f"GET /v1/jobs/%0aERROR%20forged%e2%80%a8%e2%80%aeforged {GET}\r\n")
    log = attacked.data_dir / "logs" / "web.log"
    wait_for(lambda: "forged" in log.read_text())
    (line,) = [line for line in log.read_text().splitlines() if "forged" in line]
    assert "\\x0aERROR forged\\u2028\\u202eforged" in line


def test_a_long_path_is_a_short_line_of_the_log(attacked, honest):
    log = attacked.data_dir / "logs" / "web.log"
    exchange(attacked, f"GET /v1/jobs/long{'a' * 4000} {GET}\r\n")
    wait_for(lambda: "/v1/jobs/longa" in log.read_text())
    assert max(len(line) for line in log.read_text().splitlines()) < 1000


def odd(**changes):
    """A body with some fields replaced, as JSON text."""
    message = {"role": "user", "content": '{"scripted": {"text": "fine"}}'}
    return json.dumps({"model": "smollm2-135m", "messages": [message], **changes})


def added(text):
    """A body with more at its end, which `json.dumps` would not write."""
    return odd()[:-1] + text + "}"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (odd(messages=[{"role": "user", "content": "a\0b\uffff\u202e\U0010ffff"}]), 200),
        (odd(messages=[{"role": "user", "content": "\ud800"}]), 422),
        (odd(model="m" * 1_000_000), 422),
        (odd(model="a\nb|c:d ../../x"), 404),
        (odd(user="a\0|:\n"), 200),
        (odd(user="u" * 1_000_000), 422),
        (odd(stop=["x"] * 10_000), 422),
        (odd(stop=["\0"]), 200),
        (odd(metadata=DEEP), 422),
        (odd(metadata={str(number): number for number in range(40_000)}), 422),
        (odd(logit_bias={str(number): 1 for number in range(40_000)}), 422),
        (odd(chat_template_kwargs={f"n{number}": 1 for number in range(40_000)}), 422),
        (odd(chat_template_kwargs={"a": "x" * 7_000_000}), 422),
        (odd(chat_template_kwargs={"a": DEEP}), 422),
        (odd(**{f"modell{number}": 1 for number in range(40_000)}), 422),
        (odd(**{"é" * 5000 + str(number): 1 for number in range(50)}), 200),
        (added(',"temperature":1e400'), 422),
        (added(',"temperature":-0,"seed":-0'), 200),
        (added(',"max_tokens":1e999999999'), 422),
        (added(',"top_p":NaN'), 400),
        (added(',"model":"other"'), 400),
        (added(',"metadata":{' + ",".join(f'"n{n}":1' for n in range(48_000)) + ',"n47999":1}'),
         400),
        ('{"a":1' + "]" * 15_000_000, 400),
        (b"\xef\xbb\xbf" + odd().encode(), 400),
        (odd().encode("utf-16"), 400),
        (b'{"a":"\xed\xa0\x80"}', 400),
    ],
)  # fmt: skip
def test_an_odd_body_is_answered_or_refused_at_once(attacked, honest, content, status):
    headers = {"Content-Type": "application/json", **bearer(ATTACKER)}
    begun = time.monotonic()
    answer = httpx.post(
        f"{attacked.url}/v1/chat/completions", content=content, headers=headers, timeout=30
    )
    assert answer.status_code == status, answer.text[:300]
    assert time.monotonic() - begun < AT_ONCE_S


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_body_that_is_no_json_is_not_unpacked(attacked, honest, headers):
    answer = httpx.post(
        f"{attacked.url}/v1/chat/completions",
        content=b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" * 200_000,
        headers={"Content-Type": "application/json", **headers, **bearer(ATTACKER)},
    )
    assert answer.status_code == 415


def test_readers_that_take_nothing_of_a_stream_are_left(attacked, honest):
    """Each reads the events of a job, and none of them comes out of its socket."""
    log = attacked.data_dir / "logs" / "web.log"
    before = log.read_text().count("read nothing")
    job = submitted(attacked, text="x" * 900 + " ", repeat=True, tokens_per_s=500)
    address = f"{attacked.url}/v1/jobs/{job}"
    request = f"GET /v1/jobs/{job}/events {GET}\r\n".encode()
    with contextlib.ExitStack() as held:
        for _ in range(5):
            client = held.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", attacked.port))
            client.sendall(request)
        wait_for(lambda: log.read_text().count("read nothing") == before + 5, 30)
    # By now the job may have ended or not: the first call cancels it, or deletes it.
    wait_for(lambda: httpx.delete(address, headers=bearer(ATTACKER)).status_code == 404, 10)


def submitted(service, **script):
    """The id of a new job."""
    answer = httpx.post(
        f"{service.url}/v1/jobs",
        json=service.ask(script, max_tokens=8000),
        headers=bearer(ATTACKER),
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]
