"""Server-sent events: how a frame looks, and how a stream of them ends with its client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from flask import Response

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
#: The last frame of a completion.
DONE = b"data: [DONE]\n\n"

#: What is open for a stream. It is closed when the stream ends, however it ends.
Closing = contextlib.ExitStack


def respond(frames: Iterator[bytes], closing: Closing) -> Response:
    """A streaming response; the HTTP status is decided when the first frame is."""
    response = Response(frames, mimetype="text/event-stream", headers=HEADERS)
    response.call_on_close(closing.close)
    return response


def frame(seq: int, body: dict[str, Any], event: str | None = None) -> bytes:
    """One event, with its number and, where its reader tells events apart by it, its type."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    name = "" if event is None else f"event: {event}\n"
    return f"id: {seq}\n{name}data: {text}\n\n".encode()


def comment(text: str) -> bytes:
    """What keeps a connection alive and no reader sees."""
    return f": {text}\n\n".encode()
