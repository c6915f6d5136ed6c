"""A client of the service's WebSockets."""

import contextlib
import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Socket:
    """A client that reads JSON up to the close."""

    def __init__(self, service, path, headers=None):
        # Another library than the server's: that one's client loses what comes with the handshake.
        address = f"ws://127.0.0.1:{service.port}{path}"
        self._held = contextlib.ExitStack()
        self._client = self._held.enter_context(
            connect(address, additional_headers=headers, max_size=None)
        )

    def say(self, message):
        """Send a message, or a text that is none."""
        text = message if isinstance(message, str) else json.dumps(message)
        self._client.send(text)

    def next_event(self):
        """The next message."""
        return json.loads(self._client.recv(timeout=20))

    def rest(self):
        """Everything up to the close, and the close's code."""
        events = []
        try:
            while True:
                events.append(self.next_event())
        except ConnectionClosed as closed:
            return events, closed.rcvd.code

    def close(self):
        """Leave."""
        self._held.close()
