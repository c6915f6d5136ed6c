"""Thinking between two tags: `<think>` before it, `</think>` after it."""

from __future__ import annotations

import enum

from workers.engines.segments import HoldingSplitter, Segment, possible_begin


class _State(enum.Enum):
    #: Nothing came yet but white space.
    BEFORE = enum.auto()
    #: The prompt opened a block; the model may open it once more, as DeepSeek-R1 at times does.
    OPENED = enum.auto()
    THINKING = enum.auto()
    #: After a block; another may follow.
    BETWEEN = enum.auto()
    #: The content has text, and tags mean nothing any longer.
    ANSWERING = enum.auto()


class ThinkTags(HoldingSplitter):
    """Sorts an answer by an opening and a closing tag.

    Blocks of thinking stand before the content, with nothing but white space between them: as
    llama.cpp reads it (`common_chat_msg_parser::try_parse_reasoning`). A tag inside the content is
    content, since an answer may well be about tags. White space around the tags is dropped.
    """

    def __init__(self, opening: str, closing: str, *, is_open: bool) -> None:
        """`is_open`: the prompt ended with the opening tag."""
        super().__init__()
        self._opening = opening
        self._closing = closing
        self._state = _State.OPENED if is_open else _State.BEFORE

    @property
    def thinking(self) -> bool:
        """See `Splitter.thinking`."""
        return self._state in (_State.OPENED, _State.THINKING)

    @property
    def answering(self) -> bool:
        """See `Splitter.answering`."""
        return self._state is _State.ANSWERING

    def _sort(self, *, at_end: bool) -> list[Segment]:
        segments: list[Segment] = []
        before = None
        while self._state is not before:
            before = self._state
            if before is _State.THINKING:
                segments.append(self._think(at_end=at_end))
            elif before is _State.ANSWERING:
                segments.append(Segment(self._held))
                self._held = ""
            else:
                self._await_opening(at_end=at_end)
        return segments

    def _await_opening(self, *, at_end: bool) -> None:
        text = self._held.lstrip()
        if text.startswith(self._opening):
            self._held = text.removeprefix(self._opening)
            self._state = _State.THINKING
        elif at_end or not self._opening.startswith(text):
            if self._state is _State.OPENED:
                self._state = _State.THINKING
                return
            if self._state is _State.BETWEEN:
                self._held = text
            self._state = _State.ANSWERING

    def _think(self, *, at_end: bool) -> Segment:
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            self._held = rest
            self._state = _State.BETWEEN
            segment = self._thought.push(thought)
            self._thought.end_block()
            return segment
        cut = len(thought) if at_end else possible_begin(thought, (self._closing,))
        self._held = thought[cut:]
        return self._thought.push(thought[:cut])
