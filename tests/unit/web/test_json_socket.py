"""What a socket's client gets when it cannot be served any longer."""

import json
import queue
import threading

import pytest
from redis.exceptions import ConnectionError as RedisAway
from websockets.exceptions import ConnectionClosed

from web.render.websocket import FAILED, REFUSED, JsonSocket


class Socket:
    """The server's end: says what the client said, and keeps what is sent."""

    def __init__(self, *messages):
        self._messages = list(messages)
        self.sent = []
        self.closed = queue.SimpleQueue()

    def recv(self, timeout=None):
        if not self._messages:
            raise ConnectionClosed(None, None)
        return self._messages.pop(0)

    def send(self, text):
        self.sent.append(json.loads(text))

    def close(self, code, reason):
        self.closed.put((code, reason))


def listen(socket, cancel):
    """Whether `on_leave` was called in time."""
    left = threading.Event()
    JsonSocket(socket).listen(cancel, left.set)
    return left.wait(5)


@pytest.mark.parametrize(
    ("error", "code"),
    [(RedisAway("refused"), "BROKER_UNAVAILABLE"), (RuntimeError("a bug"), "INTERNAL")],
)
def test_a_cancel_that_fails_ends_in_an_error_and_a_close(error, code):
    def cancel():
        raise error

    socket = Socket('{"type": "cancel"}', '{"type": "cancel"}')
    assert listen(socket, cancel)
    assert [(message["type"], message["error"]["code"]) for message in socket.sent] == [
        ("error", code)
    ]
    assert socket.closed.get_nowait() == (FAILED, code)
    assert socket.closed.empty()


def test_a_client_that_leaves_gets_nothing():
    socket = Socket()
    assert listen(socket, lambda: None)
    assert socket.sent == []
    assert socket.closed.empty()


def test_the_first_wrong_message_ends_it():
    cancelled = threading.Event()
    socket = Socket('{"type": "dance"}', '{"type": "cancel"}')
    assert listen(socket, cancelled.set)
    assert not cancelled.is_set()
    assert [message["error"]["code"] for message in socket.sent] == ["VALIDATION_ERROR"]
    assert socket.closed.get_nowait() == (REFUSED, "VALIDATION_ERROR")
    assert socket.closed.empty()


def test_two_threads_never_send_at_the_same_time():
    """The library mixes the frames of two threads: one message then holds both."""
    inside, overlaps = threading.Semaphore(1), []

    class Slow(Socket):
        def send(self, text):
            if not inside.acquire(blocking=False):
                overlaps.append(text)
                return
            super().send(text)
            threading.Event().wait(0.001)
            inside.release()

    socket = Slow()
    json_socket = JsonSocket(socket)
    threads = [threading.Thread(target=json_socket.send, args=([{"n": n}] * 20,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert overlaps == []
    assert len(socket.sent) == 80
