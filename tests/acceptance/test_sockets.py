"""WebSockets: a completion and a job's events, as a browser's client sees them."""

import json
import socket as socket_

import httpx
import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.support.jobs import ENDLESS, await_end, cancel, job, submit
from tests.support.waiting import wait_for
from tests.support.websocket import Socket

SPOKEN = {"text": "one two three four", "tokens_per_s": 20}


@pytest.fixture
def connect(scripted_service):
    sockets = []

    def connect(path="/v1/ws/chat", **options):
        sockets.append(Socket(scripted_service, path, **options))
        return sockets[-1]

    yield connect
    for socket in sockets:
        try:
            socket.close()
        except ConnectionClosed:
            pass


def text_of(messages):
    return "".join(message["text"] for message in messages if message["type"] == "token")


def test_a_chat_is_answered_event_by_event(scripted_service, connect):
    socket = connect()
    socket.say({"type": "chat", **scripted_service.ask(SPOKEN)})
    heard, code = socket.rest()
    assert heard[0]["type"] == "accepted"
    assert text_of(heard) == SPOKEN["text"]
    assert heard[-1]["type"] == "completed"
    assert heard[-1]["outcome"]["finish_reason"] == "stop"
    assert code == 1000
    stored = job(scripted_service, heard[0]["id"])
    assert stored["state"] == "completed"


def test_a_chat_is_cancelled_by_its_client(scripted_service, connect):
    socket = connect()
    socket.say({"type": "chat", **scripted_service.ask(ENDLESS)})
    job_id = socket.next_event()["id"]
    while socket.next_event()["type"] != "token":
        pass
    socket.say({"type": "cancel"})
    heard, code = socket.rest()
    assert heard[-1]["type"] == "cancelled"
    assert "caller" in heard[-1]["reason"]
    assert code == 1000
    assert job(scripted_service, job_id)["state"] == "cancelled"


def test_a_client_that_leaves_cancels_its_chat(scripted_service, connect):
    socket = connect()
    socket.say({"type": "chat", **scripted_service.ask(ENDLESS)})
    job_id = socket.next_event()["id"]
    wait_for(lambda: job(scripted_service, job_id)["state"] == "running")
    socket.close()
    assert await_end(scripted_service, job_id)["state"] == "cancelled"


def test_a_chat_that_fails_closes_with_1011(scripted_service, connect):
    socket = connect()
    socket.say({"type": "chat", **scripted_service.ask({"text": "a b c", "fail_after": 1})})
    heard, code = socket.rest()
    assert heard[-1]["type"] == "failed"
    assert heard[-1]["error"]["code"] == "ENGINE_FAILED"
    assert code == 1011


@pytest.mark.parametrize(
    ("said", "error_code"),
    [
        ("{", "MALFORMED_JSON"),
        ([1], "VALIDATION_ERROR"),
        ({"type": "dance"}, "VALIDATION_ERROR"),
        ({"messages": []}, "VALIDATION_ERROR"),
        ({"type": "chat"}, "VALIDATION_ERROR"),
        (
            {"type": "chat", "model": "none", "messages": [{"role": "user", "content": "x"}]},
            "MODEL_NOT_FOUND",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_1008(connect, said, error_code):
    socket = connect()
    socket.say(said)
    heard, code = socket.rest()
    assert [message["type"] for message in heard] == ["error"]
    assert heard[0]["error"]["code"] == error_code
    assert code == 1008


def test_what_cannot_be_said_meanwhile_ends_the_chat(scripted_service, connect):
    """Whoever sends what means nothing may send a lot of it."""
    socket = connect()
    socket.say({"type": "chat", **scripted_service.ask(ENDLESS)})
    job_id = socket.next_event()["id"]
    socket.say({"type": "chat"})
    heard, code = socket.rest()
    assert heard[-1]["type"] == "error"
    assert heard[-1]["error"]["code"] == "VALIDATION_ERROR"
    assert code == 1008
    assert await_end(scripted_service, job_id)["state"] == "cancelled"


def test_a_message_that_comes_with_the_handshake_is_read(scripted_service):
    """Before the client has seen that the connection is a WebSocket."""
    protocol = ClientProtocol(parse_uri(f"{scripted_service.url}/v1/ws/chat".replace("http", "ws")))
    protocol.send_request(protocol.connect())
    handshake = b"".join(protocol.data_to_send())
    message = json.dumps({"type": "chat", **scripted_service.ask({"text": "one"})}).encode()
    frame = Frame(Opcode.TEXT, message).serialize(mask=True, extensions=[])
    with socket_.create_connection(("127.0.0.1", scripted_service.port), 20) as client:
        client.sendall(handshake + frame)
        while protocol.close_code is None and (data := client.recv(65536)):
            protocol.receive_data(data)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    types = [json.loads(frame.data)["type"] for frame in frames if frame.opcode is Opcode.TEXT]
    assert types[0] == "accepted"
    assert types[-1] == "completed"


def test_a_jobs_events_from_the_start_and_from_anywhere(scripted_service, connect):
    taken = submit(scripted_service, SPOKEN)
    live, code = connect(f"/v1/jobs/{taken['id']}/ws").rest()
    assert code == 1000
    assert [message["seq"] for message in live] == list(range(1, len(live) + 1))
    assert text_of(live) == SPOKEN["text"]
    again, _ = connect(f"/v1/jobs/{taken['id']}/ws?last_event_id=3").rest()
    assert again == live[3:]


def test_a_watcher_that_leaves_cancels_nothing_and_may_cancel(scripted_service, connect):
    taken = submit(scripted_service, ENDLESS)
    path = f"/v1/jobs/{taken['id']}/ws"
    first = connect(path)
    first.next_event()
    first.close()
    second = connect(path)
    while second.next_event()["type"] != "token":
        pass
    assert job(scripted_service, taken["id"])["state"] == "running"
    second.say({"type": "cancel"})
    heard, code = second.rest()
    assert heard[-1]["type"] == "cancelled"
    assert code == 1000
    cancel(scripted_service, taken["id"])


@pytest.mark.parametrize(
    ("path", "error_code"),
    [("none/ws", "JOB_NOT_FOUND"), ("{id}/ws?last_event_id=99", "INVALID_EVENT_ID")],
)
def test_a_job_that_cannot_be_watched(scripted_service, connect, path, error_code):
    taken = submit(scripted_service, {"text": "x"})
    await_end(scripted_service, taken["id"])
    heard, code = connect(f"/v1/jobs/{path.format(id=taken['id'])}").rest()
    assert heard[0]["error"]["code"] == error_code
    assert code == 1008


def test_a_foreign_page_gets_no_socket(scripted_service):
    headers = {
        "Origin": "https://stranger.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = httpx.get(f"{scripted_service.url}/v1/ws/chat", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "FORBIDDEN"


def test_a_plain_request_to_a_socket_is_told_so(scripted_service):
    answer = httpx.get(f"{scripted_service.url}/v1/ws/chat")
    assert answer.status_code == 422
    assert "ws://" in answer.json()["error"]["message"]


def test_sockets_leave_no_thread(scripted_service, connect):
    """Many short ones in a row: each gives its thread back."""
    for _ in range(30):
        socket = connect()
        socket.say({"type": "chat", **scripted_service.ask({"text": "x"})})
        assert socket.rest()[1] == 1000
    assert scripted_service.get("/health").status_code == 200
