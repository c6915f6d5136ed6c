"""What modes speak of: steps, rounds of them, and what has come of those that ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestration.handoff import HandoffState
from workers.contract.errors import InferenceError
from workers.contract.step import Assignment, Outcome, Usage, is_answer
from workers.store.planned import Patience

#: Parts of steps that no mode plans, nor ever sees: the fast model reads what is handed on.
EXTRACTOR, CONTRADICTION_JUDGE, COMPRESSOR = "extract", "contradiction", "compress"
READER_PARTS = frozenset({EXTRACTOR, CONTRADICTION_JUDGE, COMPRESSOR})


@dataclass(frozen=True, slots=True)
class Step:
    """What one model does in a round."""

    #: Unique in the job; what is done again has a number after a dot.
    name: str
    part: str
    model: str
    #: None: what the job's caller sent.
    assignment: Assignment | None = None
    #: Milliseconds until it is to run.
    delay_ms: int = 0

    @property
    def reads_handoff(self) -> bool:
        """Whether it stands between two of the mode's own steps."""
        return self.part in READER_PARTS

    def again(self, tries: int, assignment: Assignment | None, delay_ms: int = 0) -> Step:
        """The same step once more, after it was tried so often."""
        name = f"{logical(self.name)}.{tries + 1}"
        return Step(name, self.part, self.model, assignment, delay_ms)


@dataclass(frozen=True, slots=True)
class Round:
    """Steps that run at once; when all have ended, what comes next is decided.

    A first round without steps is decided on at once: what follows depends on what is counted.
    """

    steps: tuple[Step, ...]
    #: How long they are waited for; None: until they end.
    patience: Patience | None = None
    #: The end of its one step is the job's end: nothing is decided after it.
    ends_job: bool = False
    #: The first of its steps that fails is the job's failure; the others are stopped.
    needs_all: bool = False


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step that ended."""

    step: Step
    #: Number of its round, from 1.
    round: int
    text: str
    outcome: Outcome
    #: Why its text may not be used; None where it may.
    problem: str | None = None
    #: Its text as it is handed on, where it was too long to be handed on as it is.
    shortened: str | None = None
    #: What its prompt was planned to have, part by part, as callers are shown it.
    plan: Mapping[str, Any] | None = None

    @classmethod
    def refused(cls, step: Step, error: InferenceError) -> FinishedStep:
        """A step that cannot run, as if it had failed at once."""
        outcome = Outcome.without_run(step.name, step.model, "error", error.to_dict())
        return cls(step, 0, "", outcome)

    @property
    def handed_on(self) -> str:
        """Its text as those who go on from it read it."""
        return self.text if self.shortened is None else self.shortened

    @property
    def error(self) -> InferenceError | None:
        """The error it ended with."""
        return None if self.outcome.error is None else InferenceError.from_dict(self.outcome.error)

    @property
    def usable(self) -> bool:
        """Whether its text can be handed on, or be the answer."""
        return self.problem is None and self.outcome.error is None and bool(self.text.strip())

    @property
    def streamed(self) -> bool:
        """Whether its caller has seen something of its text already; white space is nothing."""
        return is_answer(self.step.name) and bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class History:
    """What has happened in a job so far, as a mode looks at it."""

    #: The last try of each step, by its name without the number of the try, in their order.
    done: Mapping[str, FinishedStep]
    handoff: HandoffState

    def of_part(self, *parts: str) -> list[FinishedStep]:
        """The steps of these parts, in order."""
        return [done for done in self.done.values() if done.step.part in parts]


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """The job's answer."""

    #: Whose text it is.
    done: FinishedStep
    #: Steps of the whole plan; those that were left out count as completed.
    total_steps: int
    #: Why it is not what it should have been; None where it is.
    error: InferenceError | None = None
    #: What else `orchestration` has: `rounds`, `confidence`, `agreement`, ... as measured.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: The tokens it took, where that is not the sum of all steps.
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """The job has no answer."""

    error: InferenceError


Next = Round | JobAnswer | JobFailure


def logical(name: str) -> str:
    """A step's name without the number of its try."""
    return name.partition(".")[0]


def latest(ended: Sequence[FinishedStep]) -> list[FinishedStep]:
    """The steps of the last round."""
    number = max(done.round for done in ended)
    return [done for done in ended if done.round == number]
