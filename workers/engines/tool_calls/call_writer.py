"""The calls of one answer, as pieces: their ids, their names, their arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from workers.contract.tools import CallPart, Tool, Tools

#: Notes that are kept of one answer.
_MOST_NOTES = 8
#: Characters of the model's text that a note shows.
_LONGEST_QUOTE = 64


def openai_id(prefix: str, index: int) -> str:
    """An id as OpenAI makes them; an attempt after a crash gives the same."""
    return "call_" + _digest(prefix, index)[:24]


def short_id(prefix: str, index: int) -> str:
    """An id of nine letters and digits, which templates of Mistral insist on."""
    return _digest(prefix, index)[:9]


def quoted(text: str) -> str:
    """A text of the model in a note."""
    return repr(text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "...")


class CallWriter:
    """Numbers the calls and gathers their pieces, and content between them, in order."""

    def __init__(
        self, tools: Tools, id_prefix: str, make_id: Callable[[str, int], str] = openai_id
    ) -> None:
        self.tools: dict[str, Tool] = {tool.name: tool for tool in tools.callable}
        #: Calls that have begun.
        self.calls = 0
        self.notes: list[str] = []
        #: The call whose arguments come now; None between calls.
        self.tool: Tool | None = None
        self._prefix = id_prefix
        self._make_id = make_id
        self._pieces: list[str | CallPart] = []
        self._is_empty = True

    def text(self, text: str) -> None:
        """Content that comes next."""
        if text:
            self._pieces.append(text)

    def begin(self, name: str) -> bool:
        """A call begins; False where there is no such tool, which a note says."""
        tool = self.tools.get(name)
        if tool is None:
            self.note(f"{quoted(name)} is none of the tools: what looks like a call of it is text.")
            return False
        self.tool = tool
        self._pieces.append(CallPart(self.calls, self._make_id(self._prefix, self.calls), name))
        self.calls += 1
        self._is_empty = True
        return True

    def arguments(self, text: str) -> None:
        """The next characters of the open call's arguments."""
        if text:
            self._is_empty = False
            self._pieces.append(CallPart(self.calls - 1, arguments=text))

    def end(self) -> None:
        """The open call is whole; one without arguments has empty ones."""
        if self._is_empty:
            self.arguments("{}")
        self.tool = None

    def abandon(self, why: str) -> None:
        """The open call ends in its middle."""
        if self.tool is not None:
            self.note(f"The arguments of {self.tool.name} {why}.")
            self.tool = None

    def note(self, sentence: str) -> None:
        """Keep why something is no call, or no whole one."""
        if len(self.notes) < _MOST_NOTES and sentence not in self.notes:
            self.notes.append(sentence)

    def take(self) -> list[str | CallPart]:
        """The pieces since the last time, neighbours joined."""
        joined: list[str | CallPart] = []
        run: list[Any] = []
        for piece in [*self._pieces, None]:
            if run and not _joins(run[-1], piece):
                joined.append(_joined(run))
                run = []
            run.append(piece)
        self._pieces = []
        return joined


def _joins(one: str | CallPart, other: str | CallPart | None) -> bool:
    if isinstance(one, str) or other is None or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return one.index == other.index


def _joined(run: list[Any]) -> str | CallPart:
    first = run[0]
    if isinstance(first, str):
        return "".join(run)
    arguments = "".join(part.arguments for part in run)
    return CallPart(first.index, first.id, first.name, arguments)


def _digest(prefix: str, index: int) -> str:
    return hashlib.sha256(f"{prefix}:{index}".encode()).hexdigest()
