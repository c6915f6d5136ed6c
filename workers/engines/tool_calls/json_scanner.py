"""Where a JSON value ends, or where it is no JSON any longer, however its text is cut."""

from __future__ import annotations

import enum
import re

#: Levels of objects and arrays; Python's own reader takes a thousand.
DEEPEST = 256
#: Characters of a number. Python reads integers of 4,300 digits.
LONGEST_NUMBER = 1000
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING_RUN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER_RUN = re.compile(r"[-+.0-9eE]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = ("true", "false", "null")
_ESCAPED = frozenset('"\\/bfnrt')
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class _Place(enum.Enum):
    VALUE = enum.auto()
    #: After `[`: a value, or the end.
    FIRST_VALUE = enum.auto()
    KEY = enum.auto()
    #: After `{`: a key, or the end.
    FIRST_KEY = enum.auto()
    COLON = enum.auto()
    #: After a value: a comma, or the end of what holds it.
    NEXT = enum.auto()
    STRING = enum.auto()
    ESCAPE = enum.auto()
    HEX = enum.auto()
    NUMBER = enum.auto()
    WORD = enum.auto()
    ENDED = enum.auto()


#: Where what is open may end.
_CLOSABLE = (_Place.FIRST_KEY, _Place.FIRST_VALUE, _Place.NEXT)
_CLOSING = {"{": "}", "[": "]"}


def after_space(text: str, at: int) -> int:
    """The first place from `at` on that is no white space of JSON's, or the text's end."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


class JsonScanner:
    """Follows one value. White space before it belongs to it."""

    def __init__(self) -> None:
        #: No JSON value begins so.
        self.broken = False
        self._place = _Place.VALUE
        #: What is open, the innermost last: `{` or `[`.
        self._open: list[str] = []
        self._in_key = False
        #: Of a number or a word, what came of it; of `\\u`, the digits.
        self._part = ""

    @property
    def ended(self) -> bool:
        """The value is whole."""
        return self._place is _Place.ENDED

    @property
    def after_item(self) -> bool:
        """A comma may come, or the end of what is open."""
        return self._place is _Place.NEXT

    def scan(self, text: str, at: int) -> int:
        """The end of what belongs to the value, from a place of the text on.

        It is the text's end unless the value ended before it, or broke there.
        """
        while at < len(text) and not self.broken and self._place is not _Place.ENDED:
            at = self._next(text, at)
        return at

    def _next(self, text: str, at: int) -> int:
        match self._place:
            case _Place.STRING:
                return self._string(text, at)
            case _Place.ESCAPE:
                return self._escape(text, at)
            case _Place.HEX:
                return self._hex(text, at)
            case _Place.NUMBER:
                return self._number(text, at)
            case _Place.WORD:
                return self._word(text, at)
        at = after_space(text, at)
        return self._structure(text[at], at) if at < len(text) else at

    def _structure(self, mark: str, at: int) -> int:
        place = self._place
        if place is _Place.COLON and mark == ":":
            self._place = _Place.VALUE
        elif place in (_Place.FIRST_KEY, _Place.KEY) and mark == '"':
            self._place, self._in_key = _Place.STRING, True
        elif place is _Place.NEXT and mark == ",":
            self._place = _Place.KEY if self._open[-1] == "{" else _Place.VALUE
        elif place in _CLOSABLE and mark == _CLOSING[self._open[-1]]:
            self._open.pop()
            self._end_value()
        elif place in (_Place.VALUE, _Place.FIRST_VALUE):
            return self._begin(mark, at)
        else:
            self.broken = True
            return at
        return at + 1

    def _begin(self, mark: str, at: int) -> int:
        if mark == '"':
            self._place, self._in_key = _Place.STRING, False
        elif mark in "{[" and len(self._open) < DEEPEST:
            self._open.append(mark)
            self._place = _Place.FIRST_KEY if mark == "{" else _Place.FIRST_VALUE
        elif mark in "-0123456789":
            self._place, self._part = _Place.NUMBER, ""
            return at
        elif mark in "tfn":
            self._place, self._part = _Place.WORD, ""
            return at
        else:
            self.broken = True
            return at
        return at + 1

    def _end_value(self) -> None:
        self._place = _Place.NEXT if self._open else _Place.ENDED

    def _string(self, text: str, at: int) -> int:
        at = _STRING_RUN.match(text, at).end()  # type: ignore[union-attr]
        if at == len(text):
            return at
        if text[at] == "\\":
            self._place = _Place.ESCAPE
        elif text[at] != '"':
            self.broken = True
            return at
        elif self._in_key:
            self._place = _Place.COLON
        else:
            self._end_value()
        return at + 1

    def _escape(self, text: str, at: int) -> int:
        if text[at] in _ESCAPED:
            self._place = _Place.STRING
        elif text[at] == "u":
            self._place, self._part = _Place.HEX, ""
        else:
            self.broken = True
            return at
        return at + 1

    def _hex(self, text: str, at: int) -> int:
        if text[at] not in HEX_DIGITS:
            self.broken = True
            return at
        self._part += text[at]
        if len(self._part) == 4:
            self._place = _Place.STRING
        return at + 1

    def _number(self, text: str, at: int) -> int:
        end = _NUMBER_RUN.match(text, at).end()  # type: ignore[union-attr]
        if len(self._part) + end - at > LONGEST_NUMBER:
            self.broken = True
            return at
        self._part += text[at:end]
        if end < len(text):
            if NUMBER.fullmatch(self._part):
                self._end_value()
            else:
                self.broken = True
        return end

    def _word(self, text: str, at: int) -> int:
        part = self._part + text[at]
        if part in _WORDS:
            self._end_value()
        elif any(word.startswith(part) for word in _WORDS):
            self._part = part
        else:
            self.broken = True
            return at
        return at + 1
