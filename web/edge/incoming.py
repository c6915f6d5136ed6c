"""A request on its way in: bytes as they come, until it is whole or wrong.

gunicorn's own parser reads the head, so that all its rules hold; it gets the head when it is whole,
and never a socket. Where it and this module disagreed about a request's length, it would find no
more bytes and give up, instead of waiting in a thread.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from web.edge.body import Body
from web.edge.chunked import ChunkedDecoder
from workers.contract.errors import PayloadTooLarge, TemporaryResource

#: Bytes of a request's line and headers. gunicorn's bound for one header (8190) holds besides; this
#: one is for all, and a few times what browsers with many cookies send.
MOST_HEAD_BYTES = 65_536
#: A refused body is read on and thrown away up to here, so that a client that sends all before it
#: reads anything (most do) sees the refusal, and not a broken pipe.
MOST_DISCARDED_BYTES = 256 * 2**20

_HEAD_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Phase(enum.Enum):
    """How far a request has come."""

    #: Its line and headers are not whole yet.
    HEAD = enum.auto()
    #: Its body is not whole yet.
    BODY = enum.auto()
    #: Its body is refused and thrown away as it comes.
    DISCARDING = enum.auto()
    #: It can be answered.
    WHOLE = enum.auto()


class Incoming:
    """One request of a connection."""

    def __init__(
        self,
        config: Any,
        client: Any,
        number: int,
        body_limit: Callable[[Any], int],
        body: Body,
    ) -> None:
        """Await a request.

        `number` counts those of its connection from 1. `body_limit` gives the most bytes that a
        body may have, for a request whose head is there. `body` takes it.
        """
        self.phase = Phase.HEAD
        #: gunicorn's request, once the head is whole.
        self.request: Any = None
        self.body = body
        #: The client waits for word before it sends its body.
        self.awaits_continue = False
        self._config, self._client, self._number = config, client, number
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._limit = 0
        self._received = 0
        self._length = 0
        self._chunks: ChunkedDecoder | None = None

    @property
    def begun(self) -> bool:
        """Whether any of it has come."""
        return bool(self._buffer) or self.phase is not Phase.HEAD

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            Exception: gunicorn's errors of a head that is wrong.
            web.edge.chunked.WrongChunk: its body is wrong.
        """
        if self.phase is Phase.HEAD:
            self._feed_head(data)
        elif self.phase in (Phase.BODY, Phase.DISCARDING):
            self._feed_body(data)
        else:
            self.body.following += data

    def rest(self) -> bytes:
        """What came after its end: the beginning of the next request."""
        return self.body.following

    def refuse_for_room(self) -> None:
        """Throw its body away: all bodies together have become too large."""
        self._discard(
            TemporaryResource(
                f"Bodies of {self.body.in_flight_limit // 2**20} MB are on their way in already "
                "(INFERENCE_MAX_BODIES_MB). Try again in a moment.",
                details={"bound": "bodies", "limit": self.body.in_flight_limit},
            )
        )

    def end_early(self) -> None:
        """Let a refused request be answered although not all of its body has come."""
        self.request.force_close()
        self.phase = Phase.WHOLE

    def _feed_head(self, data: bytes) -> None:
        searched = max(0, len(self._buffer) - len(_HEAD_END))
        self._buffer += data
        # An empty line before the request is let pass (RFC 9112, section 2.2).
        if self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
            searched = 0
        end = self._buffer.find(_HEAD_END, searched)
        if end < 0:
            if len(self._buffer) > MOST_HEAD_BYTES:
                raise LimitRequestHeaders(f"more than {MOST_HEAD_BYTES} bytes")
            if _BARE_LF.search(self._buffer, max(0, searched - 1)):
                raise InvalidHeader("a line that does not end with CR LF")
            return
        end += len(_HEAD_END)
        if end > MOST_HEAD_BYTES:
            raise LimitRequestHeaders(f"more than {MOST_HEAD_BYTES} bytes")
        head, after = bytes(self._buffer[:end]), bytes(self._buffer[end:])
        self._buffer.clear()
        self._begin_body(head)
        if after or self.phase is not Phase.WHOLE:
            self.feed(after)

    def _begin_body(self, head: bytes) -> None:
        request = Request(self._config, IterUnreader([head]), self._client, self._number)
        self.request = request
        framing = request.body.reader
        self._limit = self._body_limit(request)
        self.awaits_continue = request._expected_100_continue
        request._expected_100_continue = False  # gunicorn would send it once all has come
        request.body = self.body
        if isinstance(framing, ChunkedReader):
            self.phase, self._chunks = Phase.BODY, ChunkedDecoder()
        elif isinstance(framing, LengthReader) and framing.length:
            self.phase, self._length = Phase.BODY, framing.length
            if self._length > self._limit:
                self._refuse_size()
        else:
            self._end(b"")

    def _feed_body(self, data: bytes) -> None:
        if self._chunks is not None:
            content = self._chunks.feed(data)
            self._take(content)
            if self._chunks.ended:
                self._end(self._chunks.rest())
            return
        left = self._length - self._received
        self._take(data[:left])
        if self._received == self._length:
            self._end(data[left:])

    def _take(self, content: bytes) -> None:
        self._received += len(content)
        if self.phase is Phase.BODY:
            if self._received > self._limit:
                self._refuse_size()
            elif content and not self.body.add(content):
                self.refuse_for_room()
        if self.phase is Phase.DISCARDING and self._received > MOST_DISCARDED_BYTES:
            self.end_early()  # whoever sends this much does not read

    def _refuse_size(self) -> None:
        setting = " (INFERENCE_MAX_BODY_MB)" if self._limit >= 2**20 else ""
        self._discard(
            PayloadTooLarge(
                f"The body is larger than the {self._limit} bytes that this address takes"
                f"{setting}.",
                details={"bound": "bytes", "limit": self._limit},
            )
        )

    def _discard(self, why: PayloadTooLarge | TemporaryResource) -> None:
        self.body.refuse(why)
        self.phase = Phase.DISCARDING
        if self.awaits_continue:  # it has sent nothing, and will not where it is told no
            self.end_early()

    def _end(self, rest: bytes) -> None:
        if self.phase is not Phase.WHOLE:
            self.phase = Phase.WHOLE
            self.body.following = rest
        self.body.seek(0)
