"""What is handed on: the texts of steps that have ended, and which of them a prompt has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.context.compression import Compressed
from orchestration.handoff import HandoffState
from orchestration.modes.rounds import FinishedStep
from workers.contract.step import Assignment


@dataclass(frozen=True, slots=True)
class HandedOn:
    """A text that steps go on from."""

    done: FinishedStep
    #: What was made of it so far; None: nobody was asked.
    compressed: Compressed | None
    #: The state before it: what has to be kept when it is shortened.
    before: HandoffState

    @property
    def text(self) -> str:
        """As those who go on from it read it."""
        return self.done.handed_on.strip()


def read_by(assignment: Assignment, texts: Sequence[HandedOn]) -> list[HandedOn]:
    """Those of these texts that stand in a step's prompt, and not only within another one."""
    user = next((turn.content or "" for turn in reversed(assignment.messages)), "")
    read = [each for each in texts if each.text and each.text in user]
    longest_first = sorted(read, key=lambda each: len(each.text), reverse=True)
    alone: list[HandedOn] = []
    for each in longest_first:
        if not any(each.text in other.text for other in alone):
            alone.append(each)
    return alone
