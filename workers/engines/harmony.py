"""Harmony, the form of gpt-oss: messages with a header, each in a channel.

    <|channel|>analysis<|message|>...<|end|>
    <|start|>assistant<|channel|>final<|message|>...<|return|>

The prompt ends with `<|start|>assistant`. The channels `analysis` and `commentary` are thought,
`final` is content. A message to a function is a call:

    <|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{...}<|call|>

Where tools are offered it comes as content with its tags, for the parser of calls. The form is
described at https://cookbook.openai.com/articles/openai-harmony.
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
#: How messages to a function begin; the header may name the receiver before the channel, too.
CALLING = (
    f"{CHANNEL}commentary to=functions.",
    f"{CHANNEL}analysis to=functions.",
    f"{START}assistant to=functions.",
)
_RECEIVER = "to=functions."
#: Characters of a header; it is a few words.
_LONGEST_HEADER = 1024
#: The channel whose messages are the answer; a message without one is part of it too.
_FINAL = "final"


class _State(enum.Enum):
    #: No tag yet. Text here begins the content: a model may not keep to the form.
    BEFORE = enum.auto()
    HEADER = enum.auto()
    THINKING = enum.auto()
    ANSWERING = enum.auto()
    #: In a message to a function.
    CALLING = enum.auto()
    #: After a message; text here is dropped.
    OUTSIDE = enum.auto()


class Harmony(HoldingSplitter):
    """Sorts an answer by its channels."""

    def __init__(self, prompt: str, *, calls: bool = False) -> None:
        """`prompt`: the rendered prompt; its end may have opened a message already. `calls`: the
        model may call functions.
        """
        super().__init__()
        self._calls = calls
        #: The header as it came, from its first tag on.
        self._header = ""
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
        return self._state in (_State.ANSWERING, _State.CALLING)

    def _sort(self, *, at_end: bool) -> list[Segment]:
        segments: list[Segment] = []
        if self._may_name_receiver() and not at_end:
            return segments
        while tag := _TAG.search(self._held):
            segments.append(self._push(self._held[: tag.start()]))
            self._held = self._held[tag.end() :]
            segments.append(self._follow(tag[0]))
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
        if self._state is _State.CALLING:
            return Segment(text)
        if self._state is _State.HEADER:
            return self._extend_header(text)
        return Segment("")

    def _extend_header(self, text: str) -> Segment:
        if self._channel is not None:
            self._channel += text
        if self._calls and len(self._header) < _LONGEST_HEADER:
            self._header += text
            if self._header.startswith(CALLING):
                self._state = _State.CALLING
                return Segment(self._header)
        return Segment("")

    def _may_name_receiver(self) -> bool:
        """Whether the answer begins, or could begin, with the rest of a header to a function."""
        if not self._calls or self._state is not _State.BEFORE:
            return False
        text = self._held.lstrip()
        if text.startswith(_RECEIVER):
            self._state, self._channel = _State.HEADER, None
            self._header, self._held = f"{START}assistant ", text
            return False
        return bool(self._held) and _RECEIVER.startswith(text)

    def _follow(self, tag: str) -> Segment:
        """Take the state that a tag leads to; what the tag itself is."""
        if self._state is _State.CALLING:
            if tag in (MESSAGE, CONSTRAIN, CHANNEL):
                return Segment(tag)
            self._take_state(tag)
            return Segment(CALL)
        self._take_state(tag)
        return Segment("")

    def _take_state(self, tag: str) -> None:
        if tag == CONSTRAIN:
            self._push(" ")  # only a header has it: it ends the channel's name
            if self._state is _State.BEFORE:  # nothing after it is the rest of a header
                self._state = _State.ANSWERING
            return
        if self._state is _State.THINKING:
            self._thought.end_block()
        if tag == MESSAGE:
            names = (self._channel or _FINAL).split()
            self._state = _State.ANSWERING if names[:1] == [_FINAL] else _State.THINKING
        elif tag in (START, CHANNEL):
            self._state = _State.HEADER
            self._header = tag
            self._channel = "" if tag == CHANNEL else None
        else:
            self._state = _State.OUTSIDE
            self._channel = None
