"""WebSockets on the server's own connections.

The protocol, the pings and the bounded queue are those of `websockets`. flask-sock and its
simple-websocket were here before: that one keeps what comes without a bound, sends without an end
to its waiting, and drops what does not fit into one send.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flask
from flask import Blueprint, Response
from websockets.exceptions import ConnectionClosed
from websockets.frames import CTRL_OPCODES, CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import Event
from websockets.server import ServerProtocol
from websockets.sync.connection import Connection

from web.edge.connection import client_socket
from workers.contract.errors import ValidationFailed

#: Seconds between two pings, and those that an answer to one may take: what is idle stays open, and
#: whoever has gone without a word is noticed.
PING_S, PONG_WITHIN_S = 25.0, 20.0
#: Seconds a client has to answer our close.
CLOSE_WITHIN_S = 2.0
#: Pings and pongs that a client may send at once, and each second after these. Each is answered or
#: matched, so that a flood of them would keep a thread busy; no client sends one a second.
MOST_CONTROL_FRAMES, CONTROL_FRAMES_PER_S = 100, 2.0
#: Reads of what a client still sends when its WebSocket has ended, of 64 KiB at most: one that sent
#: a message over the limit gets to its end, and sees why it was refused.
MOST_READS_AFTER_END = 1024
#: Frames that are kept for us to read; the client's sending stops at more. A job's client sends one
#: message and perhaps one cancel.
MOST_FRAMES = 4


class Socket(Connection):
    """A WebSocket whose handshake is done: `recv`, `send` and `close`, each with an end."""

    def __init__(self, sock: socket.socket, protocol: ServerProtocol, early: list[Event]) -> None:
        """`early` is what came with the handshake."""
        self._early = early
        self._flooded = False
        self._reads_after_end = 0
        #: Those that may still come now.
        self._control_frames: float = MOST_CONTROL_FRAMES
        self._control_frames_at = time.monotonic()
        super().__init__(
            sock,
            protocol,
            ping_interval=PING_S,
            ping_timeout=PONG_WITHIN_S,
            close_timeout=CLOSE_WITHIN_S,
            max_queue=MOST_FRAMES,
        )
        self.start_keepalive()

    def recv_events(self) -> None:
        """Read what comes, on a thread of its own."""
        for event in self._early:
            self.process_event(event)
        super().recv_events()

    def process_event(self, event: Event) -> None:
        """Take one frame; a flood of pings ends the connection."""
        if self._flooded:
            return  # it came with what ended the connection
        if isinstance(event, Frame) and event.opcode in CTRL_OPCODES:
            self._count_control_frame()
        if not self._flooded:
            super().process_event(event)

    def _count_control_frame(self) -> None:
        now = time.monotonic()
        earned = (now - self._control_frames_at) * CONTROL_FRAMES_PER_S
        self._control_frames = min(MOST_CONTROL_FRAMES, self._control_frames + earned) - 1
        self._control_frames_at = now
        if self._control_frames >= 0:
            return
        self._flooded = True
        with self.protocol_mutex, contextlib.suppress(OSError):
            self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many pings")
            self.send_data()

    def send_data(self) -> None:
        """Send what is due; called after each read as well.

        Raises:
            ConnectionError: the client goes on sending after the end, which closes the connection;
                the library would read on and throw away for as long as anything comes.
        """
        super().send_data()
        if self.protocol.eof_sent:
            self._reads_after_end += 1
            if self._reads_after_end == MOST_READS_AFTER_END:  # it is called at the close, too
                raise ConnectionError("the client goes on sending after the end")


class _Upgraded(Response):
    """What a view returns whose connection was a WebSocket: the server writes nothing more."""

    def __call__(self, *_: Any) -> Any:
        """End the request; gunicorn's word for "the answer was written already"."""
        raise StopIteration


def route(
    blueprint: Blueprint,
    path: str,
    holding: Callable[[], AbstractContextManager[None]],
    most_bytes: Callable[[], int],
) -> Callable[[Callable[..., None]], Callable[..., Response]]:
    """Let a view that takes a `Socket` answer at an address.

    `holding` is entered before the handshake: what it raises is an answer over HTTP. `most_bytes`
    is the size of the largest message that is taken.
    """

    def register(view: Callable[..., None]) -> Callable[..., Response]:
        @functools.wraps(view)
        def open_socket(**arguments: Any) -> Response:
            with holding(), contextlib.suppress(ConnectionClosed):
                opened = _accept(flask.request.environ, most_bytes())
                try:
                    view(opened, **arguments)
                finally:
                    opened.close()
            return _Upgraded(status=101)

        blueprint.add_url_rule(path, view_func=open_socket, websocket=True)
        return open_socket

    return register


def _accept(environ: dict[str, Any], most_bytes: int) -> Socket:
    """Do the handshake of the present request.

    Raises:
        ValidationFailed: it is none.
        ConnectionClosed: its client has gone.
    """
    protocol = ServerProtocol(max_size=most_bytes)
    protocol.receive_data(_head(environ))
    requests = [event for event in protocol.events_received() if isinstance(event, Request)]
    if not requests:
        raise ValidationFailed(f"This is no WebSocket handshake: {protocol.handshake_exc}.")
    response = protocol.accept(requests[0])
    if response.status_code != 101:
        raise ValidationFailed(f"This is no WebSocket handshake: {protocol.handshake_exc}.")
    protocol.send_response(response)
    connection = client_socket(environ)
    if connection is None:
        raise ValidationFailed("This server opens no WebSockets.")
    try:
        connection.sendall(b"".join(protocol.data_to_send()))
    except OSError as error:
        raise ConnectionClosed(None, None) from error
    if following := environ["wsgi.input"].following:
        protocol.receive_data(following)
    return Socket(connection, protocol, protocol.events_received())


def _head(environ: dict[str, Any]) -> bytes:
    """The request's head as it was sent, as far as the handshake needs it."""
    lines = [f"{environ['REQUEST_METHOD']} / {environ['SERVER_PROTOCOL']}"]
    lines += [
        f"{name.removeprefix('HTTP_').replace('_', '-')}: {value}"
        for name, value in environ.items()
        if name.startswith(("HTTP_SEC_WEBSOCKET_", "HTTP_UPGRADE", "HTTP_CONNECTION"))
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
