"""Which tokens of an answer are its content, told when their text is shown.

A token is content when some of its text is: so the tokens of tags, thoughts and stop strings are
not, nor the one that ends the turn. The text that is shown says it: a splitter or a parser may take
out of an answer whatever it wants.
"""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Waiting:
    """A token of which is not known yet whether it is content."""

    #: Its number in the answer, from 0.
    place: int
    #: Characters of it that have not been shown; a character is the token's that completes it.
    characters: int
    #: It is content, since some of its text was shown.
    told: bool = False


class ContentTokens:
    """Follows one answer, token by token."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._next = 0
        #: The text of the tokens that wait.
        self._text = ""
        self._waiting: deque[_Waiting] = deque()
        #: What is shown next follows what was shown last, with nothing between.
        self._adjoins = False
        #: The last token that is known to be content.
        self._last_told = -1

    @property
    def may_be_content(self) -> bool:
        """Whether the last token is content, or may become it."""
        last = self._next - 1
        waits = bool(self._waiting) and self._waiting[-1].place == last
        return waits or self._last_told == last

    def push(self, piece: bytes, *, partial: bool = False) -> None:
        """The bytes of the token that comes next; `partial`: they come with a later one's."""
        text = self._decoder.decode(piece)
        if piece or partial:
            self._waiting.append(_Waiting(self._next, len(text)))
            self._text += text
        self._next += 1

    def finish(self) -> None:
        """The answer ends; bytes that complete no character become U+FFFD."""
        text = self._decoder.decode(b"", final=True)
        if text:
            self._waiting[-1].characters += len(text)
            self._text += text

    def show(self, content: str, held: int) -> tuple[int, ...]:
        """The content that is shown now; returns the places of tokens that are known by it.

        `held`: characters at the end that may become content still.
        """
        if not content:
            return ()
        begin = self._find(content, held)
        self._skip(begin)
        self._adjoins = True
        return self._take(len(content))

    def interrupt(self) -> None:
        """Something else than content was shown, and content may follow."""
        self._adjoins = False

    def drop(self) -> None:
        """None of the tokens that wait is content."""
        self._waiting.clear()
        self._text = ""
        self._adjoins = False

    def _find(self, content: str, held: int) -> int:
        if self._adjoins and self._text.startswith(content):
            return 0
        return max(0, self._text.rfind(content, 0, len(self._text) - held))

    def _skip(self, characters: int) -> None:
        """Leave out what comes before the content."""
        self._text = self._text[characters:]
        while characters > 0:
            first = self._waiting[0]
            if first.characters > characters:
                first.characters -= characters
                return
            characters -= first.characters
            self._waiting.popleft()

    def _take(self, characters: int) -> tuple[int, ...]:
        self._text = self._text[characters:]
        places = []
        while characters > 0 and self._waiting:
            first = self._waiting[0]
            if not first.told:
                places.append(first.place)
                first.told = True
                self._last_told = first.place
            shown = min(first.characters, characters)
            characters -= shown
            first.characters -= shown
            if not first.characters:
                self._waiting.popleft()
        return tuple(places)
