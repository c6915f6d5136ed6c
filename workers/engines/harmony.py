"""Harmony, the form of gpt-oss: messages with a header, each in a channel.

    <|channel|>analysis<|message|>...<|end|>
    <|start|>assistant<|channel|>final<|message|>...<|return|>

The prompt ends with `<|start|>assistant`. The channels `analysis` and `commentary` are thought,
`final` is content. The form is described at https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import enum
import re

from workers.engines.segments import HoldingSplitter, Segment, Thought, possible_begin

START, CHANNEL, CONSTRAIN = "<|start|>", "<|channel|>", "<|constrain|>"
MESSAGE, END, RETURN, CALL = "<|message|>", "<|end|>", "<|return|>", "<|call|>"
#: Each is one special token of the model's vocabulary.
TAGS = (START, CHANNEL, CONSTRAIN, MESSAGE, END, RETURN, CALL)
_TAG = re.compile("|".join(map(re.escape, TAGS)))
#: The channel whose messages are the answer; a message without one is part of it too.
_FINAL = "final"


class _State(enum.Enum):
    #: No tag yet. Text here begins the content: a model may not keep to the form.
    BEFORE = enum.auto()
    HEADER = enum.auto()
    THINKING = enum.auto()
    ANSWERING = enum.auto()
    #: After a message; text here is dropped.
    OUTSIDE = enum.auto()


class Harmony(HoldingSplitter):
    """Sorts an answer by its channels."""

    def __init__(self, prompt: str) -> None:
        """`prompt`: the rendered prompt; its end may have opened a message already."""
        super().__init__()
        self._state = _State.BEFORE
        #: The header's channel as far as it came; None where it has none.
        self._channel: str | None = None
        opened = prompt.rpartition(START)[2]
        if CHANNEL in opened or MESSAGE in opened:
            self.push(START + opened)
            self._thought = Thought()

    @property
    def thinking(self) -> bool:
        """See `Splitter.thinking`."""
        return self._state is _State.THINKING

    @property
    def answering(self) -> bool:
        """See `Splitter.answering`."""
        return self._state is _State.ANSWERING

    def _sort(self, *, at_end: bool) -> list[Segment]:
        segments: list[Segment] = []
        while tag := _TAG.search(self._held):
            segments.append(self._push(self._held[: tag.start()]))
            self._held = self._held[tag.end() :]
            self._follow(tag[0])
        cut = len(self._held) if at_end else possible_begin(self._held, TAGS)
        segments.append(self._push(self._held[:cut]))
        self._held = self._held[cut:]
        return segments

    def _push(self, text: str) -> Segment:
        if self._state is _State.THINKING:
            return self._thought.push(text)
        if self._state is _State.BEFORE and text.strip():
            self._state = _State.ANSWERING
        if self._state in (_State.BEFORE, _State.ANSWERING):
            return Segment(text)
        if self._state is _State.HEADER and self._channel is not None:
            self._channel += text
        return Segment("")

    def _follow(self, tag: str) -> None:
        """Take the state that a tag leads to."""
        if tag == CONSTRAIN:
            self._push(" ")  # only a header has it: it ends the channel's name
            return
        if self._state is _State.THINKING:
            self._thought.end_block()
        if tag == MESSAGE:
            names = (self._channel or _FINAL).split()
            self._state = _State.ANSWERING if names[:1] == [_FINAL] else _State.THINKING
        elif tag in (START, CHANNEL):
            self._state = _State.HEADER
            self._channel = "" if tag == CHANNEL else None
        else:
            self._state = _State.OUTSIDE
            self._channel = None
