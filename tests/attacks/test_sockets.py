"""WebSockets that flood, and keys that take all."""

import contextlib
import json
import socket
import time

import httpx
import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.uri import parse_uri

from tests.attacks.conftest import ATTACKER, HONEST, MAX_OPEN, MAX_SOCKETS, SEND_TIMEOUT_S, bearer

MB = 2**20


def address(service):
    return f"{service.url}/v1/ws/chat".replace("http", "ws", 1)


def test_a_flood_of_wrong_messages_ends_at_the_first(attacked, honest):
    """Its client reads nothing of what it is answered."""
    protocol = ClientProtocol(parse_uri(address(attacked)))
    request = protocol.connect()
    request.headers["Authorization"] = f"Bearer {ATTACKER}"
    protocol.send_request(request)
    handshake = b"".join(protocol.data_to_send())
    wrong = Frame(Opcode.TEXT, b'{"type": "dance"}').serialize(mask=True, extensions=[])
    sent = 0
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", attacked.port), 10) as client:
        client.sendall(handshake)
        with contextlib.suppress(OSError):
            while sent < 500 * MB:
                client.sendall(wrong * 10_000)
                sent += len(wrong) * 10_000
    assert sent < 50 * MB
    assert time.monotonic() - begun < SEND_TIMEOUT_S + 5


def test_a_message_over_the_limit_closes_with_1009(attacked, honest):
    with connect(address(attacked), additional_headers=bearer(ATTACKER)) as client:
        with contextlib.suppress(ConnectionClosed):
            client.send("x" * (17 * MB))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=5)
    assert closed.value.rcvd.code == 1009


def test_a_bomb_in_a_message_is_refused(attacked, honest):
    with connect(address(attacked), additional_headers=bearer(ATTACKER)) as client:
        begun = time.monotonic()
        client.send('{"type": "chat", "messages": [' + "0," * 7_000_000 + "0]}")
        error = json.loads(client.recv(timeout=5))["error"]
        assert time.monotonic() - begun < 1
    assert error["code"] == "PAYLOAD_TOO_LARGE"


def test_idle_sockets_hold_no_place_and_one_key_only_its_share(attacked, honest):
    with contextlib.ExitStack() as held:
        for _ in range(MAX_SOCKETS // 2):
            client = connect(address(attacked), additional_headers=bearer(ATTACKER))
            held.enter_context(client)
        with pytest.raises(InvalidStatus) as refused:
            connect(address(attacked), additional_headers=bearer(ATTACKER))
        response = refused.value.response
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        error = json.loads(response.body)["error"]
        assert (error["code"], error["details"]["bound"]) == ("TEMPORARY_RESOURCE", "key_share")
        with connect(address(attacked), additional_headers=bearer(HONEST)) as other:
            other.send(json.dumps({"type": "chat", **attacked.ask({"text": "fine"})}))
            assert json.loads(other.recv(timeout=5))["type"] == "accepted"


def test_one_key_holds_a_part_of_the_places(attacked, honest):
    endless = attacked.ask({"repeat": True, "tokens_per_s": 2}, stream=True)
    fine = attacked.ask({"text": "fine"})
    path = "/v1/chat/completions"
    with contextlib.ExitStack() as held:
        client = held.enter_context(httpx.Client(base_url=attacked.url, timeout=5))
        for _ in range(MAX_OPEN // 2):
            answer = client.stream("POST", path, json=endless, headers=bearer(ATTACKER))
            response = held.enter_context(answer)
            assert response.status_code == 200, response.read()
        refused = client.post(path, json=fine, headers=bearer(ATTACKER))
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        error = refused.json()["error"]
        assert (error["code"], error["details"]["bound"]) == ("TEMPORARY_RESOURCE", "key_share")
        assert client.post(path, json=fine, headers=bearer(HONEST)).status_code == 200


def flooded(service, first, again):
    """Bytes that a client of a new WebSocket gets rid of until the server closes; it reads none."""
    protocol = ClientProtocol(parse_uri(address(service)))
    request = protocol.connect()
    request.headers["Authorization"] = f"Bearer {ATTACKER}"
    protocol.send_request(request)
    sent = 0
    with socket.create_connection(("127.0.0.1", service.port), 10) as client:
        client.sendall(b"".join(protocol.data_to_send()) + first)
        with contextlib.suppress(OSError):
            while sent < 500 * MB:
                client.sendall(again)
                sent += len(again)
    return sent


def masked(opcode, data=b"", *, fin=True):
    return Frame(opcode, data, fin=fin).serialize(mask=True, extensions=[])


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", masked(Opcode.PING) * 2000),
        (b"", masked(Opcode.PONG, b"x" * 100) * 500),
        (masked(Opcode.TEXT, fin=False), masked(Opcode.CONT, fin=False) * 2000),
        (b"", b"\xc1\xe4aaaa" + b"x" * 100),
        (b"", b"\x81\x05hello" * 2000),
        (b"", b"\x83\x85aaaahello" * 2000),
        (b"", b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffaaaa" + b"x" * 60_000),
    ],
    ids=["pings", "pongs", "fragments", "compressed", "unmasked", "opcode", "length"],
)
def test_frames_that_cost_and_say_nothing_end_the_socket(attacked, honest, first, again):
    begun = time.monotonic()
    assert flooded(attacked, first, again) < 100 * MB
    assert time.monotonic() - begun < SEND_TIMEOUT_S + 5


def test_pings_now_and_then_are_answered(attacked):
    with connect(address(attacked), additional_headers=bearer(ATTACKER)) as client:
        for _ in range(50):
            assert client.ping().wait(5)
