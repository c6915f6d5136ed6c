"""What one rendering may cost: steps, characters that exist at once, and time.

A template comes with a model file, so it may be anybody's. Every loop's turn, call and filter is a
step; every text and list is measured before it is made. What is left is one operation on what is
bounded in size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from workers.engines.time_budget import TimeBudget

#: A conversation of 10,000 messages takes some 150,000 steps of the longest templates.
MOST_STEPS = 1_000_000
#: Characters of texts that exist at once, and those for each character that came in: templates
#: join a message's text from its parts and keep what they have so far.
CHARACTERS, TIMES_INPUT = 16_000_000, 8
#: Shorter texts are a step each: the steps bound how many there are.
_COUNTED = 128
#: Bits of a number; larger ones make arithmetic slow.
MOST_BITS = 4096
#: The largest number that a filter takes for a width, a depth or a count.
LARGEST_WIDTH = 10_000


class TooCostly(Exception):
    """The template does more than one rendering may; the message says what."""


class Claim:
    """The characters of one text, for as long as it exists."""

    __slots__ = ("_length", "_meter")

    def __init__(self, meter: Meter, length: int) -> None:
        self._meter = meter
        self._length = length
        meter.characters += length

    def __del__(self) -> None:
        self._meter.characters -= self._length


class Meter:
    """Counts for one rendering."""

    def __init__(self, budget: TimeBudget, input_characters: int = 0) -> None:
        self._budget = budget
        self._most_characters = CHARACTERS + TIMES_INPUT * input_characters
        self._steps = 0
        self.characters = 0

    def step(self, count: int = 1) -> None:
        """Count what takes time; also where the time of the request is looked at.

        Raises:
            TooCostly: there were too many.
        """
        self._steps += count
        if self._steps > MOST_STEPS:
            raise TooCostly(f"it takes more than {MOST_STEPS} steps")
        self._budget.check()

    def require_room(self, length: int) -> None:
        """Refuse a text, or a list, of this many characters and items before it is made.

        Raises:
            TooCostly: there is no room for it.
        """
        if self.characters + length > self._most_characters:
            raise TooCostly(f"it makes texts of more than {self._most_characters} characters")

    def claim(self, length: int) -> Claim | None:
        """Count a text; the claim is to live as long as the text does."""
        if length < _COUNTED:
            self.step()
            return None
        self.require_room(length)
        return Claim(self, length)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


def current() -> Meter | None:
    """The meter of the rendering that runs on this thread; None: none runs."""
    return _current.get()


@contextlib.contextmanager
def measured(meter: Meter) -> Iterator[None]:
    """Let a meter count what this thread renders."""
    token = _current.set(meter)
    try:
        yield
    finally:
        _current.reset(token)


def step(count: int = 1) -> None:
    """See `Meter.step`; nothing is counted where nothing is rendered."""
    if (meter := current()) is not None:
        meter.step(count)


def require_room(length: int) -> None:
    """See `Meter.require_room`; nothing is refused where nothing is rendered."""
    if (meter := current()) is not None:
        meter.require_room(length)


def require_width(value: Any) -> None:
    """Refuse a number that would stand for a width or a count.

    Raises:
        TooCostly: it is too large.
    """
    if isinstance(value, int) and abs(value) > LARGEST_WIDTH:
        raise TooCostly(f"it asks for a width or a count of {str(value)[:40]}")
