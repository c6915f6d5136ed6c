"""Python's literals as JSON, however their text is cut."""

from __future__ import annotations

import enum
import json
import math
import re

from workers.engines.tool_calls.json_scanner import HEX_DIGITS, NUMBER, JsonScanner

#: Characters of a number or a word.
_LONGEST_TOKEN = 1000
_TOKEN = re.compile(r"[\w.+-]*")
_STRING_RUN = re.compile(r"[^\\'\"\x00-\x1f]*")
_WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "true": "true",
    "false": "false",
    "null": "null",
}
_BRACKETS = {"[": "[", "(": "[", "{": "{"}
_CLOSING = {"]": "[", ")": "(", "}": "{"}
#: Escapes of one letter, and what JSON has for them. `\\/` is JSON's own.
_ESCAPES = {
    **{letter: f"\\{letter}" for letter in 'nrtbf"\\'},
    "'": "'",
    "/": "/",
    "a": "\\u0007",
    "v": "\\u000b",
    "0": "\\u0000",
    "\n": "",
}
#: Escapes by code point, and how many digits they have.
_CODE_POINTS = {"x": 2, "u": 4, "U": 8}


class _Place(enum.Enum):
    OUTSIDE = enum.auto()
    TOKEN = enum.auto()
    STRING = enum.auto()
    ESCAPE = enum.auto()
    #: In the digits of an escape.
    DIGITS = enum.auto()


class PythonValue:
    """Turns one literal into JSON: what it gives is JSON's text so far.

    JSON's own words are read, too, and tuples are lists. Sets, bytes and prefixed texts are not.
    """

    def __init__(self) -> None:
        #: No literal begins so.
        self.broken = False
        #: The number, word or escape that is not whole yet.
        self.part = ""
        self._place = _Place.OUTSIDE
        self._scanner = JsonScanner()
        self._open: list[str] = []
        self._quote = ""
        self._digits_left = 0
        self._comma = False
        self._json: list[str] = []

    @property
    def ended(self) -> bool:
        """The value is whole."""
        return self._scanner.ended

    def read(self, text: str, at: int) -> tuple[int, str]:
        """Read on from a place of the text: up to where, and the JSON of what was read."""
        while at < len(text) and not self.broken and not self.ended:
            match self._place:
                case _Place.TOKEN:
                    at = self._token(text, at)
                case _Place.STRING:
                    at = self._string(text, at)
                case _Place.ESCAPE:
                    at = self._escape(text, at)
                case _Place.DIGITS:
                    at = self._digit(text, at)
                case _Place.OUTSIDE:
                    at = self._outside(text, at)
        given, self._json = "".join(self._json), []
        return at, given

    def _give(self, part: str, *, then: str = "") -> None:
        """JSON that comes next; the scanner sees whether it may. `then` shows it a number's end."""
        self._scanner.scan(part + then, 0)
        if self._scanner.broken:
            self.broken = True
        else:
            self._json.append(part)

    def _outside(self, text: str, at: int) -> int:
        mark = text[at]
        if mark.isspace():
            return at + 1
        if mark in _CLOSING:
            if not self._open or self._open[-1] != _CLOSING[mark]:
                self.broken = True
                return at
            self._comma = False
            self._give("}" if self._open.pop() == "{" else "]")
            return at + 1
        if self._comma:
            self._comma = False
            self._give(", ")
        if self.broken:
            return at
        if mark in "'\"":
            self._quote, self._place = mark, _Place.STRING
            self._give('"')
        elif mark in _BRACKETS:
            self._open.append(mark)
            self._give(_BRACKETS[mark])
        elif mark == "," and self._open and self._scanner.after_item:
            self._comma = True  # Python lets one stand before the end
        elif mark == ":":
            self._give(": ")
        elif _TOKEN.fullmatch(mark):
            self._place, self.part = _Place.TOKEN, ""
            return at
        else:
            self.broken = True
        return at if self.broken else at + 1

    def _token(self, text: str, at: int) -> int:
        end = _TOKEN.match(text, at).end()  # type: ignore[union-attr]
        if len(self.part) + end - at > _LONGEST_TOKEN:
            self.broken = True
            return at
        self.part += text[at:end]
        if end < len(text):
            written = _word(self.part)
            if written is None:
                self.broken = True
            else:
                self._give(written, then=" ")
                self.part, self._place = "", _Place.OUTSIDE
        return end

    def _string(self, text: str, at: int) -> int:
        end = _STRING_RUN.match(text, at).end()  # type: ignore[union-attr]
        if end > at:
            self._give(text[at:end])
            return end
        mark = text[at]
        if mark == "\\":
            self._place = _Place.ESCAPE
        elif mark == self._quote:
            self._place = _Place.OUTSIDE
            self._give('"')
        else:
            self._give("'" if mark == "'" else json.dumps(mark)[1:-1])
        return at + 1

    def _escape(self, text: str, at: int) -> int:
        mark = text[at]
        if mark in _CODE_POINTS:
            self._place, self._digits_left = _Place.DIGITS, _CODE_POINTS[mark]
            self.part = f"\\{mark}"
            return at + 1
        self._place = _Place.STRING
        if mark in _ESCAPES:
            self._give(_ESCAPES[mark])
            return at + 1
        self._give("\\\\")  # it stands for itself
        return at

    def _digit(self, text: str, at: int) -> int:
        if text[at] not in HEX_DIGITS:
            self.broken = True
            return at
        self.part += text[at]
        self._digits_left -= 1
        if not self._digits_left:
            code = int(self.part[2:], 16)
            if code > 0x10FFFF:
                self.broken = True
                return at + 1
            self._give(f"\\u{code:04x}" if code <= 0xFFFF else json.dumps(chr(code))[1:-1])
            self.part, self._place = "", _Place.STRING
        return at + 1


def _word(token: str) -> str | None:
    """A number or a word as JSON has it; None: it is neither."""
    if token in _WORDS:
        return _WORDS[token]
    if NUMBER.fullmatch(token):
        return token
    try:
        number = int(token, 0) if token.lower().lstrip("+-").startswith("0") else float(token)
    except ValueError:
        return None
    return json.dumps(number) if math.isfinite(number) else None
