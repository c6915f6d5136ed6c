"""What every mode is: which steps it begins with, and what follows from those that ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestration.modes.rounds import FinishedStep, History, Next, Round
from workers.contract.job import Job
from workers.contract.step import Assignment


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mode reads in a step's text, beside the text."""

    #: For those who watch: `score`, `verdict`, `problem`.
    findings: Mapping[str, Any] = field(default_factory=dict)
    #: What the text says is wrong with another step's, and the quotes that show it.
    errors: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    #: The text is about others' and is handed to nobody as an answer: its own words are no sign of
    #: contamination.
    judges: bool = False


class Mode(Protocol):
    """How several models answer one request. Holds nothing of any job."""

    def total_steps(self, job: Job) -> int:
        """Steps of the whole plan, where nothing is done again."""

    def plan(self, job: Job) -> Round:
        """The first round."""

    def advance(self, job: Job, story: History) -> Next:
        """The next round, or the end. The last tries of all steps are there, usable or not."""

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """What a step's text says beside being a text."""

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """What a step is asked when it is done again without what came before it."""
