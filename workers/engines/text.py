"""From token bytes to text that can be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextAssembler:
    """Joins the bytes of one answer's tokens.

    How the bytes are split over tokens does not change the text. Of several stop strings the one
    that is complete first ends the answer; where two end together, the longer.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        #: A stop string was met; the text before it has been returned.
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Take a token's bytes; returns the text that can be shown by now, often ""."""
        if self.stopped:
            return ""
        return self._shown(self._held + self._decoder.decode(piece))

    def finish(self) -> str:
        """What was held back, when the answer ends without a stop string; "" after one.

        Bytes that complete no character become U+FFFD.
        """
        if self.stopped:
            return ""
        text = self._shown(self._held + self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return text if self.stopped else text + rest

    def _shown(self, text: str) -> str:
        matches = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped = True
            self._held = ""
            return text[: min(matches)[1]]
        begin = self._first_possible_stop(text)
        self._held = text[begin:]
        return text[:begin]

    def _first_possible_stop(self, text: str) -> int:
        """Where the longest end of the text begins that could still become a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for begin in range(max(0, len(text) - longest), len(text)):
            tail = text[begin:]
            if any(stop.startswith(tail) for stop in self._stop):
                return begin
        return len(text)
