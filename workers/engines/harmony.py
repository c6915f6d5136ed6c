"""Harmony, the form of gpt-oss: messages with a header, each in a channel.

    <|channel|>analysis<|message|>...<|end|>
    <|start|>assistant<|channel|>final<|message|>...<|return|>

The prompt ends with `<|start|>assistant`. The channels `analysis` and `commentary` are thought,
`final` is content. The form is described at https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import enum
import re

from workers.engines.think_tags import Run, Thought, possible_begin

START, CHANNEL, CONSTRAIN = "<|start|>", "<|channel|>", "<|constrain|>"
MESSAGE, END, RETURN, CALL = "<|message|>", "<|end|>", "<|return|>", "<|call|>"
#: Each is one token of its own in the model's vocabulary.
MARKS = (START, CHANNEL, CONSTRAIN, MESSAGE, END, RETURN, CALL)
_MARK = re.compile("|".join(map(re.escape, MARKS)))
#: The channel whose messages are the answer; a message without one is part of it too.
_FINAL = "final"


class _State(enum.Enum):
    #: No mark yet. Text here begins the content: a model may not keep to the form.
    BEFORE = enum.auto()
    HEADER = enum.auto()
    THINKING = enum.auto()
    ANSWERING = enum.auto()
    #: Behind a message; what is said here is said to nobody.
    OUTSIDE = enum.auto()


class Harmony:
    """Sorts an answer by its channels."""

    def __init__(self, prompt: str) -> None:
        """`prompt`: the rendered prompt; its end may have opened a message already."""
        self._state = _State.BEFORE
        #: The header's channel as far as it was said; None where it has none.
        self._channel: str | None = None
        self._held = ""
        self._thought = Thought()
        begun = prompt.rpartition(START)[2]
        if CHANNEL in begun or MESSAGE in begun:
            self.push(START + begun)
            self._thought = Thought()

    @property
    def thinking(self) -> bool:
        """See `Splitter.thinking`."""
        return self._state is _State.THINKING

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
        while mark := _MARK.search(self._held):
            runs.append(self._say(self._held[: mark.start()]))
            self._held = self._held[mark.end() :]
            self._turn(mark[0])
        cut = len(self._held) if at_end else possible_begin(self._held, MARKS)
        runs.append(self._say(self._held[:cut]))
        self._held = self._held[cut:]
        return [run for run in runs if run.text]

    def _say(self, text: str) -> Run:
        if self._state is _State.THINKING:
            return self._thought.say(text)
        if self._state is _State.BEFORE and text.strip():
            self._state = _State.ANSWERING
        if self._state in (_State.BEFORE, _State.ANSWERING):
            return Run(text)
        if self._state is _State.HEADER and self._channel is not None:
            self._channel += text
        return Run("")

    def _turn(self, mark: str) -> None:
        """Go where a mark leads."""
        if mark == CONSTRAIN:
            self._say(" ")  # only a header has it: it ends the channel's name
            return
        if self._state is _State.THINKING:
            self._thought.end_block()
        if mark == MESSAGE:
            names = (self._channel or _FINAL).split()
            self._state = _State.ANSWERING if names[:1] == [_FINAL] else _State.THINKING
        elif mark in (START, CHANNEL):
            self._state = _State.HEADER
            self._channel = "" if mark == CHANNEL else None
        else:
            self._state = _State.OUTSIDE
            self._channel = None
