"""Assessment: what is found in the texts of a round, and what it adds to the handoff. Pure.

Readers' steps (`orchestration/context/`) come after a round of the mode's own and belong to it:
what they say counts as said when its steps ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from orchestration import contamination
from orchestration.context import compression, contradictions, extraction, reading_steps
from orchestration.context.compression import Compressed
from orchestration.context.extraction import Extract
from orchestration.context.reading_steps import Unreadable
from orchestration.handoff import HandoffState, begin
from orchestration.modes.base import Mode, Reading
from orchestration.modes.rounds import CONTRADICTION_JUDGE, EXTRACTOR, FinishedStep, latest, logical
from orchestration.validation import ValidationResult
from workers.contract.events import Assessed
from workers.contract.job import Job

T = TypeVar("T")
NOTHING_READ, NOTHING_FOUND = Reading(), ValidationResult()


@dataclass(frozen=True, slots=True)
class AssessedStep:
    """A step that ended, and what was read and seen in its text."""

    done: FinishedStep
    #: The state before its round.
    before: HandoffState
    reading: Reading = NOTHING_READ
    validation: ValidationResult = NOTHING_FOUND
    #: What its text settles; None where nobody was asked, or could say.
    extract: Extract | None = None
    #: Readers of its text that said nothing of use, by their names, and why.
    unread: Mapping[str, str] = field(default_factory=dict)
    #: What was made of its text, which was too long; None where nobody was asked.
    compressed: Compressed | None = None

    @property
    def event(self) -> Assessed | None:
        """What those who watch are told; None where there is nothing to tell."""
        report: dict[str, object] = dict(self.reading.findings)
        if self.validation.issues:
            report["contamination"] = self.validation.severity.name.lower()
            report["validation"] = self.validation.to_dict()
        if self.extract is not None and (settled := self.extract.findings()):
            report["settled"] = settled
        if self.unread:
            report["unread"] = dict(self.unread)
        if self.compressed is not None:
            report["compression"] = self.compressed.findings()
        return Assessed(0, self.done.step.name, report) if report else None


@dataclass(frozen=True, slots=True)
class Ended:
    """All steps of a job that have ended: those of its mode, and the readers between them."""

    #: In the order in which they were planned.
    own: tuple[FinishedStep, ...]
    read: tuple[FinishedStep, ...]

    @classmethod
    def of(cls, ended: Iterable[FinishedStep]) -> Ended:
        """Tell them apart."""
        steps = tuple(ended)
        own = tuple(done for done in steps if not done.step.reads_handoff)
        return cls(own, tuple(done for done in steps if done.step.reads_handoff))

    @property
    def round(self) -> int:
        """The number of the last round of the mode's own."""
        return max(done.round for done in self.own)

    def reader(self, name: str) -> FinishedStep | None:
        """The last try of the reader of this name; None where it has not read yet."""
        return next((done for done in reversed(self.read) if logical(done.step.name) == name), None)

    def tries_of(self, done: FinishedStep) -> list[FinishedStep]:
        """All tries of a step, its own among them."""
        name = logical(done.step.name)
        return [each for each in (*self.own, *self.read) if logical(each.step.name) == name]


def replay(job: Job, mode: Mode, ended: Ended) -> tuple[list[AssessedStep], HandoffState]:
    """What was seen in the rounds before the last one, and the state after them."""
    handoff = begin(job, mode.total_steps(job))
    steps: list[AssessedStep] = []
    for number in sorted({done.round for done in ended.own if done.round < ended.round}):
        before = replace(ended, own=tuple(done for done in ended.own if done.round <= number))
        current = assess_round(job, mode, before, handoff)
        handoff = handed_on(handoff, current)
        steps += current
    return steps, handoff


def assess_round(job: Job, mode: Mode, ended: Ended, handoff: HandoffState) -> list[AssessedStep]:
    """What is read and found in the texts of the last round; `handoff` is the state before it."""
    return [_assess(job, mode, done, ended, handoff) for done in latest(ended.own)]


def handed_on(handoff: HandoffState, steps: Sequence[AssessedStep]) -> HandoffState:
    """The state after these steps."""
    for step in steps:
        handoff = _note(handoff, step)
    return handoff


def _assess(
    job: Job, mode: Mode, done: FinishedStep, ended: Ended, handoff: HandoffState
) -> AssessedStep:
    if done.outcome.error is not None:
        return AssessedStep(done, handoff)
    reading = mode.read(job, done)
    if reading.judges:
        return AssessedStep(done, handoff, reading)
    validation = contamination.examine(
        done.text,
        handoff.goal,
        active_errors=len(handoff.active_errors),
        current_step=handoff.current_step + 1,
    )
    unread: dict[str, str] = {}
    if validation.valid:
        denied = _read(
            CONTRADICTION_JUDGE,
            done,
            ended,
            unread,
            lambda reader: contradictions.read(
                reader, done, contradictions.decisions(mode, handoff)
            ),
        )
        validation = ValidationResult((*validation.issues, *(denied or ())))
    if validation.valid:
        extract = _read(
            EXTRACTOR,
            done,
            ended,
            unread,
            lambda reader: extraction.read(reader, done, reading_steps.request(job)),
        )
        compressed = compression.read(job, done, ended.read, handoff)
        if compressed is not None:
            done = replace(done, shortened=compressed.text)
        return AssessedStep(done, handoff, reading, validation, extract, unread, compressed)
    if _was_put_aside(done, ended):
        validation = validation.repeated()
    if not done.streamed:
        done = replace(done, problem="contaminated")
    return AssessedStep(done, handoff, reading, validation, unread=unread)


def _read(
    part: str,
    source: FinishedStep,
    ended: Ended,
    unread: dict[str, str],
    read: Callable[[FinishedStep], T],
) -> T | None:
    """What the reader of this part found in a text; None where there is none, or it cannot say."""
    reader = ended.reader(reading_steps.name(part, source))
    if reader is None:
        return None
    try:
        return read(reader)
    except Unreadable as error:
        unread[reader.step.name] = str(error)
        return None


def _was_put_aside(done: FinishedStep, ended: Ended) -> bool:
    """Whether an earlier try of the same step ended without an error and yet was done again."""
    return any(
        other.step.name != done.step.name and other.outcome.error is None
        for other in ended.tries_of(done)
    )


def _note(handoff: HandoffState, assessed: AssessedStep) -> HandoffState:
    done, reading = assessed.done, assessed.reading
    if reading.judges:
        return handoff.with_errors(reading.errors).settled(reading.settled)
    if done.outcome.error is not None:  # nothing was said that could be wrong
        return handoff
    if not done.usable:
        entry = f"{logical(done.step.name)}: {done.problem or 'it is empty'}"
        # Tried again, it is still one thing that is wrong.
        return handoff if entry in handoff.active_errors else handoff.with_errors((entry,))
    accepted = handoff.accepted(done.handed_on).settled(reading.settled)
    if assessed.extract is not None:
        accepted = accepted.settled(assessed.extract.settled)
    if (compressed := assessed.compressed) is not None:
        accepted = accepted.settled(compressed.settled).with_errors(compressed.errors)
    issues = (f"{done.step.name} {issue}" for issue in assessed.validation.issues)
    return accepted.with_errors(tuple(issues))
