"""What a model thinks before it answers, sorted from what it answers.

The sorting sees text alone and only forward: the same text gives the same two texts however it is
cut into pieces, and a generation that goes on elsewhere gets its state from pushing the produced
tokens once more.
"""

from __future__ import annotations

from typing import Protocol

from presets.model import Reasoning
from workers.engines import harmony
from workers.engines.harmony import Harmony
from workers.engines.segments import Segment
from workers.engines.think_tags import ThinkTags


class Splitter(Protocol):
    """Sorts the text of one answer into thought and content."""

    @property
    def thinking(self) -> bool:
        """A block of thinking is open."""

    @property
    def answering(self) -> bool:
        """Content has begun, or what comes next is content whatever it is."""

    def push(self, text: str) -> list[Segment]:
        """Take text; gives what is sure by now, in its order, no empty segments.

        What could be the beginning of a tag is held back.
        """

    def finish(self) -> list[Segment]:
        """What was held back, when the answer ends."""


class Plain:
    """The splitter of a model without a form of thinking: all is content."""

    thinking = False
    answering = True

    def push(self, text: str) -> list[Segment]:
        """See `Splitter.push`."""
        return [Segment(text)] if text else []

    def finish(self) -> list[Segment]:
        """See `Splitter.finish`."""
        return []


def splitter(form: Reasoning | None, prompt: str, *, calls: bool = False) -> Splitter:
    """A splitter for the answer after a rendered prompt. `calls`: tools are offered, and what a
    thought's form says of calls is content.

    Whether thinking is open already is read from the prompt's end and nowhere else: templates of
    one model differ in that, and with what they are given.
    """
    if form is None:
        return Plain()
    if form.form == "harmony":
        return Harmony(prompt, calls=calls)
    return ThinkTags(form.open, form.close, is_open=prompt.rstrip().endswith(form.open))


def tags(form: Reasoning | None) -> tuple[str, ...]:
    """The tags that a splitter must see even where they are special tokens, which have no text."""
    if form is None:
        return ()
    return harmony.TAGS if form.form == "harmony" else (form.open, form.close)
