"""Decoding `Transfer-Encoding: chunked` as bytes come in (RFC 9112, section 7.1).

gunicorn has such a reader, and it pulls: it waits in a thread for what has not come yet. This one
is pushed, so that nobody waits.
"""

from __future__ import annotations

import re

#: A line with a chunk's size; extensions are let pass unread, as every server does.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[^\r\n]*)?")
#: A size takes 15 digits at most; what is longer is extensions, which nobody uses.
_LONGEST_LINE = 1024
#: Trailers come after the last chunk; they are read and mean nothing here.
_LONGEST_TRAILERS = 8192
#: Chunks of a body beside one for each 64 bytes: each costs as much to decode as hundreds of bytes.
#: A client that sends each token of its JSON alone stays far below.
_MOST_SMALL_CHUNKS = 65_536


class WrongChunk(ValueError):
    """The bytes are no chunked body; the message says what is wrong."""


class ChunkedDecoder:
    """Turns the bytes of a chunked body into its content."""

    def __init__(self) -> None:
        #: The last chunk and its trailers have come.
        self.ended = False
        self._buffer = bytearray()
        #: Content bytes of the present chunk that have not come yet; None between two chunks.
        self._left: int | None = None
        self._in_trailers = False
        self._trailer_bytes = 0
        self._chunks = 0
        self._content_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The content in these bytes; what comes after the body's end stays in `rest`.

        Raises:
            WrongChunk: they are no chunked body.
        """
        self._buffer += data
        content = bytearray()
        while not self.ended and self._step(content):
            pass
        return bytes(content)

    def rest(self) -> bytes:
        """What came after the body's end."""
        return bytes(self._buffer)

    def _step(self, content: bytearray) -> bool:
        """Read on as far as the next border; False where more must come first."""
        if self._in_trailers:
            return self._read_trailer()
        if self._left is None:
            return self._read_size()
        if self._left:
            piece = self._buffer[: self._left]
            if not piece:
                return False
            content += piece
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            return True
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise WrongChunk("a chunk is longer than its size says")
        del self._buffer[:2]
        self._left = None
        return True

    def _read_size(self) -> bool:
        line = self._line(_LONGEST_LINE, "a chunk's size")
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise WrongChunk("a chunk's size is no hexadecimal number")
        self._left = int(size[1], 16)
        self._in_trailers = self._left == 0
        self._chunks += 1
        self._content_bytes += self._left
        if self._chunks > _MOST_SMALL_CHUNKS + self._content_bytes // 64:
            raise WrongChunk(f"more than {_MOST_SMALL_CHUNKS} chunks of a few bytes")
        return True

    def _read_trailer(self) -> bool:
        line = self._line(_LONGEST_TRAILERS - self._trailer_bytes, "the trailers")
        if line is None:
            return False
        self._trailer_bytes += len(line) + 2
        self.ended = not line
        return True

    def _line(self, longest: int, what: str) -> bytes | None:
        """The next line without its end; None where it has not come whole."""
        end = self._buffer.find(b"\r\n", 0, max(0, longest) + 2)
        if end < 0:
            if len(self._buffer) > longest + 1:
                raise WrongChunk(f"{what} must have at most {longest} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line
