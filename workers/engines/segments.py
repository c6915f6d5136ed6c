"""Segments: stretches of an answer's text, each all thought or all content."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an answer's text that is all thought, or all content."""

    text: str
    is_thought: bool = False


def possible_begin(text: str, tags: Sequence[str]) -> int:
    """Where the longest end of the text begins that could still become one of the tags."""
    longest = max(map(len, tags), default=1) - 1
    for begin in range(max(0, len(text) - longest), len(text)):
        tail = text[begin:]
        if any(tag.startswith(tail) for tag in tags):
            return begin
    return len(text)


class Thought:
    """The text of all thinking in an answer: each block stripped, a line break between two.

    The line break keeps the words at the borders apart; llama.cpp and vLLM join without one.
    """

    def __init__(self) -> None:
        #: White space that is shown once something follows it.
        self._space = ""
        self._block_is_empty = True
        self._is_empty = True

    def push(self, text: str) -> Segment:
        """Take the next part of a block; gives what of it can be shown."""
        if self._block_is_empty:
            text = text.lstrip()
        if not text:
            return Segment("", is_thought=True)
        self._is_empty = self._block_is_empty = False
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        return Segment(shown, is_thought=True)

    def end_block(self) -> None:
        """The block has ended; another may follow."""
        self._block_is_empty = True
        self._space = "" if self._is_empty else "\n"


class HoldingSplitter(abc.ABC):
    """A splitter that holds back text which could still become a tag; see `reasoning.Splitter`."""

    def __init__(self) -> None:
        self._held = ""
        self._thought = Thought()

    def push(self, text: str) -> list[Segment]:
        """See `Splitter.push`."""
        self._held += text
        return self._sort_held(at_end=False)

    def finish(self) -> list[Segment]:
        """See `Splitter.finish`."""
        return self._sort_held(at_end=True)

    def _sort_held(self, *, at_end: bool) -> list[Segment]:
        return [segment for segment in self._sort(at_end=at_end) if segment.text]

    @abc.abstractmethod
    def _sort(self, *, at_end: bool) -> list[Segment]:
        """Sort the held text as far as it is sure, all of it `at_end`; keep the rest held."""
