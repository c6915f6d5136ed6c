"""Reads a call that is a JSON object: its name and its arguments are members of it."""

from __future__ import annotations

import enum
import json

from workers.engines.tool_calls.call_writer import CallWriter, quoted
from workers.engines.tool_calls.json_scanner import JsonScanner, after_space
from workers.engines.tool_calls.reader import Outcome

#: The members that models put their arguments in; each family writes one of them.
ARGUMENTS = ("arguments", "parameters")
#: Further members that calls have in one family or another.
_OTHERS = ("id", "type", "index", "call_id", "tool_call_id")


class _Place(enum.Enum):
    OBJECT = enum.auto()
    KEY = enum.auto()
    COLON = enum.auto()
    VALUE = enum.auto()
    #: A value that is looked at once it is whole.
    HELD = enum.auto()
    ARGUMENTS = enum.auto()
    NEXT = enum.auto()


class ObjectReader:
    """See `reader.Reader`. The arguments may stand before the name; then they are held."""

    def __init__(self, writer: CallWriter) -> None:
        self._writer = writer
        self._place = _Place.OBJECT
        self._scanner = JsonScanner()
        #: The text of the key or the value that is read now.
        self._held: list[str] = []
        self._key = ""
        self._has_begun = False
        self._is_first = True
        #: Arguments that came before the name.
        self._early: str | None = None
        self._has_arguments = False

    @classmethod
    def of(cls, writer: CallWriter, mark: str, in_list: bool) -> ObjectReader:
        """A reader of objects, wherever they stand."""
        return cls(writer)

    def read(self, text: str, at: int) -> tuple[int, Outcome]:
        """See `reader.Reader`."""
        while True:
            if self._place is _Place.ARGUMENTS:
                return self._read_arguments(text, at)
            if self._place not in (_Place.HELD, _Place.KEY):
                at = after_space(text, at)
                if at == len(text):
                    return at, Outcome.MORE
            if self._place in (_Place.HELD, _Place.KEY):
                at, outcome = self._read_held(text, at)
            else:
                at, outcome = self._structure(text, at)
            if outcome is not None:
                return at, outcome

    def finish(self, rest: str) -> None:
        """See `reader.Reader`."""
        if self._place is _Place.HELD and self._key in ARGUMENTS and not self._has_arguments:
            self._writer.arguments("".join(self._held))

    def _structure(self, text: str, at: int) -> tuple[int, Outcome | None]:
        mark = text[at]
        if self._place is _Place.OBJECT and mark == "{":
            self._expect(_Place.KEY)
        elif self._place is _Place.COLON and mark == ":":
            self._place = _Place.VALUE
        elif self._place is _Place.VALUE:
            streams = self._key in ARGUMENTS and self._has_begun and mark == "{"
            if streams and not self._has_arguments:
                self._expect(_Place.ARGUMENTS)
            else:
                self._expect(_Place.HELD)
            return at, None
        elif self._place is _Place.NEXT and mark == ",":
            self._expect(_Place.KEY)
        elif self._place is _Place.NEXT and mark == "}" and self._has_begun:
            if self._writer.tool is not None:
                self._writer.end()
            return at + 1, Outcome.DONE
        else:
            return at, Outcome.NONE
        return at + 1, None

    def _expect(self, place: _Place) -> None:
        self._place = place
        self._scanner = JsonScanner()
        self._held = []

    def _read_held(self, text: str, at: int) -> tuple[int, Outcome | None]:
        """A key, or a value that is looked at once it is whole."""
        end = self._scanner.scan(text, at)
        self._held.append(text[at:end])
        if self._scanner.broken:
            return end, Outcome.NONE
        if not self._scanner.ended:
            return end, Outcome.MORE
        held = "".join(self._held)
        if self._place is _Place.KEY:
            key = json.loads(held)
            if not isinstance(key, str) or (self._is_first and not _may_begin(key)):
                return end, Outcome.NONE
            self._key, self._is_first = key, False
            self._place = _Place.COLON
            return end, None
        self._place = _Place.NEXT
        return end, self._take(held)

    def _take(self, held: str) -> Outcome | None:
        if self._key == "name" and not self._has_begun:
            name = json.loads(held)
            if not isinstance(name, str) or not self._writer.begin(name):
                return Outcome.NONE
            self._has_begun = True
            if self._early is not None:
                self._give(self._early)
            return Outcome.BEGUN
        if self._key in ARGUMENTS and not self._has_arguments and self._early is None:
            if self._has_begun:
                self._give(held)
                return Outcome.ARGUMENTS
            self._early = held
        elif self._key not in _OTHERS:
            self._writer.note(f"{quoted(self._key)} is no part of a call and was left out.")
        return None

    def _give(self, held: str) -> None:
        """Arguments that are whole; some models write the object as a text."""
        value = json.loads(held)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            held = value
        elif value is None or value == "":
            held = "{}"
        self._has_arguments = True
        self._writer.arguments(held.strip())
        self._writer.end()

    def _read_arguments(self, text: str, at: int) -> tuple[int, Outcome]:
        end = self._scanner.scan(text, at)
        if end > at:
            self._writer.arguments(text[at:end])
            if self._scanner.ended:
                self._has_arguments = True
                self._writer.end()
                self._place = _Place.NEXT
            return end, Outcome.ARGUMENTS
        return end, Outcome.BROKEN if self._scanner.broken else Outcome.MORE


def _may_begin(key: str) -> bool:
    return key == "name" or key in ARGUMENTS or key in _OTHERS
