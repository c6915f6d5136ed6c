"""Reads a call that is written as in Python: `get_weather(city="Paris")`."""

from __future__ import annotations

import enum
import re

from workers.engines.tool_calls.argument_types import quote
from workers.engines.tool_calls.call_writer import CallWriter
from workers.engines.tool_calls.json_scanner import after_space
from workers.engines.tool_calls.python_values import PythonValue
from workers.engines.tool_calls.reader import Outcome

#: Characters of a function's or an argument's name.
_LONGEST_NAME = 256
_NAME = re.compile(r"[\w.-]+")


class _Place(enum.Enum):
    NAME = enum.auto()
    #: Before an argument, or the end.
    KEY = enum.auto()
    VALUE = enum.auto()
    #: After an argument.
    NEXT = enum.auto()


class PythonReader:
    """See `reader.Reader`. Arguments must have names."""

    def __init__(self, writer: CallWriter) -> None:
        self._writer = writer
        self._place = _Place.NAME
        self._value = PythonValue()
        self._has_arguments = False

    @classmethod
    def of(cls, writer: CallWriter, mark: str, in_list: bool) -> PythonReader:
        """A reader of calls, which stand in a list."""
        return cls(writer)

    def read(self, text: str, at: int) -> tuple[int, Outcome]:
        """See `reader.Reader`."""
        if self._place is _Place.VALUE:
            return self._read_value(text, at)
        at = after_space(text, at)
        if at == len(text):
            return at, Outcome.MORE
        if self._place is _Place.NAME:
            return self._read_name(text, at, "(")
        if text[at] == ")":
            self._writer.arguments("}" if self._has_arguments else "{}")
            self._writer.end()
            return at + 1, Outcome.DONE
        if self._place is _Place.KEY:
            return self._read_name(text, at, "=")
        if text[at] == ",":
            self._place = _Place.KEY
            return at + 1, Outcome.ARGUMENTS
        return at, Outcome.BROKEN

    def finish(self, rest: str) -> None:
        """See `reader.Reader`."""
        if self._place is _Place.VALUE:
            self._writer.arguments(self._value.part)

    def _read_name(self, text: str, at: int, mark: str) -> tuple[int, Outcome]:
        found = _NAME.match(text, at)
        end = found.end() if found else at
        end = after_space(text, end)
        if end - at > _LONGEST_NAME:
            return at, Outcome.NONE
        if end == len(text):
            return at, Outcome.MORE
        if found is None or text[end] != mark:
            return at, Outcome.NONE
        if mark == "(":
            self._place = _Place.KEY
            return end + 1, Outcome.BEGUN if self._writer.begin(found[0]) else Outcome.NONE
        self._writer.arguments(f"{', ' if self._has_arguments else '{'}{quote(found[0])}: ")
        self._has_arguments = True
        self._place, self._value = _Place.VALUE, PythonValue()
        return end + 1, Outcome.ARGUMENTS

    def _read_value(self, text: str, at: int) -> tuple[int, Outcome]:
        end, written = self._value.read(text, at)
        self._writer.arguments(written)
        if self._value.ended:
            self._place = _Place.NEXT
        elif end == at and self._value.broken:
            self._writer.arguments(self._value.part)
            return end, Outcome.BROKEN
        return end, Outcome.ARGUMENTS if end > at else Outcome.MORE
