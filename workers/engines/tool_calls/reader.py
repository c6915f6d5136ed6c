"""What reads one call of a family, and what it finds out."""

from __future__ import annotations

import enum
from typing import Protocol


class Outcome(enum.Enum):
    """What a reader found out about the text up to where it read."""

    #: More text is needed.
    MORE = enum.auto()
    #: A call has begun: the text up to here was its head.
    BEGUN = enum.auto()
    #: The text up to here went into the call's arguments.
    ARGUMENTS = enum.auto()
    #: The call is whole.
    DONE = enum.auto()
    #: What was read is no call.
    NONE = enum.auto()
    #: The arguments break here.
    BROKEN = enum.auto()


class Reader(Protocol):
    """Reads one call after what opened it, and gives it to the writer."""

    def read(self, text: str, at: int) -> tuple[int, Outcome]:
        """Read from a place of the text on: up to where, and what that was.

        What is left of the text comes again with more of it: little, since it is copied each time.
        """

    def finish(self, rest: str) -> None:
        """The answer ends in the call's middle: give the writer what of its arguments is held.

        `rest`: the text that was left.
        """
