"""Reads a call whose arguments stand in tags, one each, their values without quotes."""

from __future__ import annotations

import enum

from workers.engines.segments import possible_begin
from workers.engines.tool_calls.argument_types import properties_of, quote, to_json, types_of
from workers.engines.tool_calls.call_writer import CallWriter
from workers.engines.tool_calls.json_scanner import after_space
from workers.engines.tool_calls.reader import Outcome

FUNCTION, END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"
#: Characters of a name.
_LONGEST_NAME = 256
#: Characters of a value that is no text: it is looked at once it is whole.
_LONGEST_VALUE = 1_000_000


class _Place(enum.Enum):
    FUNCTION = enum.auto()
    NAME = enum.auto()
    #: Between the tags of parameters.
    BETWEEN = enum.auto()
    KEY = enum.auto()
    #: Before a value, whose first line break belongs to the tag.
    BEFORE_VALUE = enum.auto()
    #: In a value that is text: it is passed on as it comes.
    TEXT = enum.auto()
    #: In another one.
    VALUE = enum.auto()


class XmlReader:
    """See `reader.Reader`. A value ends at the first closing tag: the form has no escape for it."""

    def __init__(self, writer: CallWriter, mark: str) -> None:
        """`mark`: what opened the call; `FUNCTION` may have done so itself."""
        self._writer = writer
        self._place = _Place.NAME if mark == FUNCTION else _Place.FUNCTION
        self._has_arguments = False
        self._types: frozenset[str] = frozenset()
        self._value: list[str] = []
        self._value_length = 0

    def read(self, text: str, at: int) -> tuple[int, Outcome]:
        """See `reader.Reader`."""
        match self._place:
            case _Place.FUNCTION:
                return self._read_function(text, at)
            case _Place.NAME | _Place.KEY:
                return self._read_name(text, at)
            case _Place.BETWEEN:
                return self._read_between(text, at)
            case _Place.BEFORE_VALUE:
                return self._read_before_value(text, at)
            case _Place.TEXT | _Place.VALUE:
                return self._read_value(text, at)

    def finish(self, rest: str) -> None:
        """See `reader.Reader`."""
        if self._place in (_Place.TEXT, _Place.VALUE):
            self._take(rest)
            self._writer.arguments("".join(self._value))

    def _read_function(self, text: str, at: int) -> tuple[int, Outcome]:
        at = after_space(text, at)
        if text.startswith(FUNCTION, at):
            self._place = _Place.NAME
            return self._read_name(text, at + len(FUNCTION))
        return at, Outcome.MORE if FUNCTION.startswith(text[at : at + 16]) else Outcome.NONE

    def _read_name(self, text: str, at: int) -> tuple[int, Outcome]:
        end = text.find(">", at, at + _LONGEST_NAME + 1)
        if end < 0:
            return at, Outcome.MORE if len(text) - at <= _LONGEST_NAME else Outcome.NONE
        name = text[at:end].strip()
        if self._place is _Place.NAME:
            self._place = _Place.BETWEEN
            return end + 1, Outcome.BEGUN if self._writer.begin(name) else Outcome.NONE
        tool = self._writer.tool
        parameters = tool.parameters if tool is not None else None
        self._types = types_of(properties_of(parameters).get(name), parameters)
        self._writer.arguments(f"{', ' if self._has_arguments else '{'}{quote(name)}: ")
        self._has_arguments = True
        self._place = _Place.BEFORE_VALUE
        return end + 1, Outcome.ARGUMENTS

    def _read_between(self, text: str, at: int) -> tuple[int, Outcome]:
        at = after_space(text, at)
        if text.startswith(PARAMETER, at):
            self._place = _Place.KEY
            return at + len(PARAMETER), Outcome.ARGUMENTS
        if text.startswith(END, at):
            self._writer.arguments("}" if self._has_arguments else "{}")
            self._writer.end()
            return at + len(END), Outcome.DONE
        rest = text[at : at + 16]
        waits = PARAMETER.startswith(rest) or END.startswith(rest)
        return at, Outcome.MORE if waits else Outcome.BROKEN

    def _read_before_value(self, text: str, at: int) -> tuple[int, Outcome]:
        if at == len(text):
            return at, Outcome.MORE
        is_text = self._types == {"string"}
        self._place = _Place.TEXT if is_text else _Place.VALUE
        self._writer.arguments('"' if is_text else "")
        return at + (text[at] == "\n"), Outcome.ARGUMENTS

    def _read_value(self, text: str, at: int) -> tuple[int, Outcome]:
        end = text.find(PARAMETER_END, at)
        if end < 0:
            # The line break before the closing tag belongs to it.
            safe = at + possible_begin(text[at:], ("\n" + PARAMETER_END, PARAMETER_END))
            self._take(text[at:safe])
            if self._value_length > _LONGEST_VALUE:
                self._writer.arguments("".join(self._value))
                return safe, Outcome.BROKEN
            return safe, Outcome.ARGUMENTS if safe > at else Outcome.MORE
        self._take(text[at : end - (text[at:end].endswith("\n"))])
        if self._place is _Place.TEXT:
            self._writer.arguments('"')
        else:
            self._writer.arguments(to_json("".join(self._value), self._types))
        self._value, self._value_length = [], 0
        self._place = _Place.BETWEEN
        return end + len(PARAMETER_END), Outcome.ARGUMENTS

    def _take(self, text: str) -> None:
        if self._place is _Place.TEXT:
            self._writer.arguments(quote(text)[1:-1])
        else:
            self._value.append(text)
            self._value_length += len(text)
