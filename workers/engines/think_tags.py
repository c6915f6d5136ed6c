"""Thinking between two marks: `<think>` before it, `</think>` behind."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of an answer's text that is all thought, or all content."""

    text: str
    is_thought: bool = False


def possible_begin(text: str, marks: Sequence[str]) -> int:
    """Where the longest end of the text begins that could still become one of the marks."""
    longest = max(map(len, marks), default=1) - 1
    for begin in range(max(0, len(text) - longest), len(text)):
        tail = text[begin:]
        if any(mark.startswith(tail) for mark in marks):
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

    def say(self, text: str) -> Run:
        """Take the next part of a block; gives what of it can be shown."""
        if self._block_is_empty:
            text = text.lstrip()
        if not text:
            return Run("", is_thought=True)
        self._is_empty = self._block_is_empty = False
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        return Run(shown, is_thought=True)

    def end_block(self) -> None:
        """The block has ended; another may follow."""
        self._block_is_empty = True
        self._space = "" if self._is_empty else "\n"


class _State(enum.Enum):
    #: Nothing was said but white space.
    BEFORE = enum.auto()
    #: The prompt opened a block; the model may open it once more, as DeepSeek-R1 at times does.
    OPENED = enum.auto()
    THINKING = enum.auto()
    #: Behind a block; another may follow.
    BETWEEN = enum.auto()
    #: The content has begun, and marks mean nothing any longer.
    ANSWERING = enum.auto()


class ThinkTags:
    """Sorts an answer by an opening and a closing mark.

    Blocks of thinking stand before the content, with nothing but white space between them: as
    llama.cpp reads it (`common_chat_msg_parser::try_parse_reasoning`). A mark inside the content is
    content, since an answer may well be about marks. White space around the marks is dropped.
    """

    def __init__(self, opening: str, closing: str, *, is_open: bool) -> None:
        """`is_open`: the prompt ended with the opening mark."""
        self._opening = opening
        self._closing = closing
        self._state = _State.OPENED if is_open else _State.BEFORE
        self._held = ""
        self._thought = Thought()

    @property
    def thinking(self) -> bool:
        """See `Splitter.thinking`."""
        return self._state in (_State.OPENED, _State.THINKING)

    @property
    def answering(self) -> bool:
        """See `Splitter.answering`."""
        return self._state is _State.ANSWERING

    def push(self, text: str) -> list[Run]:
        """See `Splitter.push`."""
        self._held += text
        return self._sort(at_end=False)

    def finish(self) -> list[Run]:
        """See `Splitter.finish`."""
        return self._sort(at_end=True)

    def _sort(self, *, at_end: bool) -> list[Run]:
        runs: list[Run] = []
        before = None
        while self._state is not before:
            before = self._state
            if before is _State.THINKING:
                runs.append(self._think(at_end=at_end))
            elif before is _State.ANSWERING:
                runs.append(Run(self._held))
                self._held = ""
            else:
                self._await_opening(at_end=at_end)
        return [run for run in runs if run.text]

    def _await_opening(self, *, at_end: bool) -> None:
        begun = self._held.lstrip()
        if begun.startswith(self._opening):
            self._held = begun.removeprefix(self._opening)
            self._state = _State.THINKING
        elif at_end or not self._opening.startswith(begun):
            if self._state is _State.OPENED:
                self._state = _State.THINKING
                return
            if self._state is _State.BETWEEN:
                self._held = begun
            self._state = _State.ANSWERING

    def _think(self, *, at_end: bool) -> Run:
        said, mark, rest = self._held.partition(self._closing)
        if mark:
            self._held = rest
            self._state = _State.BETWEEN
            run = self._thought.say(said)
            self._thought.end_block()
            return run
        cut = len(said) if at_end else possible_begin(said, (self._closing,))
        self._held = said[cut:]
        return self._thought.say(said[:cut])
