"""The marks around a family's calls."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """What stands around the calls of a family."""

    #: Texts that open calls wherever they stand.
    opens: tuple[str, ...] = ()
    #: Characters that may open them at the beginning of a line, where no mark stands.
    bare: str = ""
    #: Texts that may stand before such a character, and are nothing by themselves.
    fences: tuple[str, ...] = ()
    #: Texts that may follow a call and belong to it.
    closes: tuple[str, ...] = ()
    #: Several calls may stand in `[` and `]`, with commas.
    in_list: bool = False

    @property
    def begins_lines(self) -> bool:
        """Calls may open at the beginning of a line without a mark."""
        return bool(self.bare or self.fences)

    def next_opening(self, text: str, at: int) -> re.Match[str] | None:
        """The next mark that opens, or the next line break where calls may open after one."""
        return _pattern(self.opens, self.begins_lines).search(text, at)

    def next_mark(self, text: str, at: int) -> re.Match[str] | None:
        """The next mark of either kind."""
        return _pattern((*self.opens, *self.closes), False).search(text, at)

    def fence_at(self, text: str, at: int) -> str:
        """The fence that stands there; empty where none does."""
        return next((fence for fence in self.fences if text.startswith(fence, at)), "")

    def may_become_fence(self, text: str, at: int) -> bool:
        """The text from there on is the beginning of a fence, or of a longer one."""
        rest = text[at : at + max(map(len, self.fences), default=0)]
        return any(fence.startswith(rest) and fence != rest for fence in self.fences)

    def closing_at(self, text: str, at: int) -> str:
        """The mark that closes there; empty where none does."""
        return next((mark for mark in self.closes if text.startswith(mark, at)), "")

    def opening_at(self, text: str, at: int) -> str:
        """The mark that opens there; empty where none does."""
        return next((mark for mark in self.opens if text.startswith(mark, at)), "")


@functools.cache
def _pattern(marks: tuple[str, ...], line_breaks: bool) -> re.Pattern[str]:
    texts = sorted(map(re.escape, marks), key=len, reverse=True)
    return re.compile("|".join([*texts, *(["\n"] if line_breaks else [])]) or r"(?!)")
