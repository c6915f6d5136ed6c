"""Reads a call whose name stands before its arguments, a JSON object, with marks between them."""

from __future__ import annotations

import re

from workers.engines.tool_calls.call_writer import CallWriter
from workers.engines.tool_calls.json_scanner import JsonScanner
from workers.engines.tool_calls.reader import Outcome

#: Characters between what opens a call and its arguments.
_LONGEST_HEAD = 512


class NamedReader:
    """See `reader.Reader`."""

    def __init__(self, writer: CallWriter, head: re.Pattern[str]) -> None:
        """`head`: all that stands before the arguments' `{`, the name as its group `name`."""
        self._writer = writer
        self._pattern = head
        self._head = ""
        self._has_begun = False
        self._scanner = JsonScanner()

    def read(self, text: str, at: int) -> tuple[int, Outcome]:
        """See `reader.Reader`."""
        if not self._has_begun:
            return self._read_head(text, at)
        if self._scanner.ended:
            self._writer.end()
            return at, Outcome.DONE
        end = self._scanner.scan(text, at)
        if end > at:
            self._writer.arguments(text[at:end])
            return end, Outcome.ARGUMENTS
        return end, Outcome.BROKEN if self._scanner.broken else Outcome.MORE

    def finish(self, rest: str) -> None:
        """See `reader.Reader`."""

    def _read_head(self, text: str, at: int) -> tuple[int, Outcome]:
        brace = text.find("{", at, at + _LONGEST_HEAD + 1)
        if brace < 0:
            end = min(len(text), at + _LONGEST_HEAD + 1 - len(self._head))
            self._head += text[at:end]
            return end, Outcome.NONE if len(self._head) > _LONGEST_HEAD else Outcome.MORE
        head = self._head + text[at:brace]
        found = self._pattern.fullmatch(head) if len(head) <= _LONGEST_HEAD else None
        if found is None or not self._writer.begin(found["name"]):
            return min(brace, at + _LONGEST_HEAD + 1 - len(self._head)), Outcome.NONE
        self._has_begun = True
        return brace, Outcome.BEGUN
