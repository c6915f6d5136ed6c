"""The round policy: what is done again, what is put aside, and when the mode decides. Pure.

A step that failed and may succeed later is tried at most three times more, after the pause that its
error names. A contaminated text is put aside and its step done once more without what came before;
if that is no better, the job ends with what it has. A text that its caller has already seen is only
reported: nothing can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestration import contamination
from orchestration.handoff import HandoffState, begin
from orchestration.modes.base import Mode, Reading
from orchestration.modes.rounds import FinishedStep, History, Next, Round, Step, latest, logical
from orchestration.validation import Severity, ValidationResult
from workers.contract.events import Assessed
from workers.contract.job import Job
from workers.contract.step import LATE, is_answer
from workers.store.planned import Patience

#: How often a step is tried again after an error.
MOST_RETRIES = 3
#: Characters of a text that stand for it among the decisions.
_LONGEST_DECISION = 160


@dataclass(frozen=True, slots=True)
class RoundDecision:
    """What follows from a round."""

    next: Next
    handoff: HandoffState
    assessed: tuple[Assessed, ...]
    #: What was found in the text of each step that has ended, by its name; of the others nothing.
    validations: Mapping[str, ValidationResult]


@dataclass(frozen=True, slots=True)
class _AssessedStep:
    """A step that ended, and what was read and seen in its text."""

    done: FinishedStep
    reading: Reading
    validation: ValidationResult


def decide(
    job: Job, mode: Mode, ended: Sequence[FinishedStep], handoff: HandoffState | None = None
) -> RoundDecision:
    """What follows when a round has ended; `handoff` is what the round before it handed on.

    `ended` are all steps that have ended, in the order in which they were planned. Without a
    `handoff`, since none is kept any longer, it is made anew from them.
    """
    number = max(done.round for done in ended)
    earlier, replayed = _replay(job, mode, [done for done in ended if done.round < number])
    handoff = handoff or replayed
    current = [_assess(job, mode, done, ended, handoff) for done in latest(ended)]
    assessed = tuple(
        Assessed(0, each.done.step.name, report) for each in current if (report := _report(each))
    )
    again = [step for each in current if (step := _again(job, mode, each, ended)) is not None]
    for each in current:
        handoff = _note(handoff, each)
    every = (*earlier, *current)
    validations = {each.done.step.name: each.validation for each in every if each.validation.issues}
    next_: Next
    if again:
        next_ = Round(tuple(again), _patience(job, again))
    else:
        done = {logical(each.done.step.name): each.done for each in every}
        next_ = mode.advance(job, History(done, handoff))
    return RoundDecision(next_, handoff, assessed, validations)


def _replay(
    job: Job, mode: Mode, ended: Sequence[FinishedStep]
) -> tuple[list[_AssessedStep], HandoffState]:
    """What was seen in earlier rounds, and the state after them."""
    handoff = begin(job, mode.total_steps(job))
    steps: list[_AssessedStep] = []
    for number in sorted({done.round for done in ended}):
        before = [done for done in ended if done.round <= number]
        current = [_assess(job, mode, done, before, handoff) for done in latest(before)]
        for step in current:
            handoff = _note(handoff, step)
        steps += current
    return steps, handoff


def _assess(
    job: Job, mode: Mode, done: FinishedStep, ended: Sequence[FinishedStep], handoff: HandoffState
) -> _AssessedStep:
    if done.outcome.error is not None:
        return _AssessedStep(done, Reading(), ValidationResult())
    reading = mode.read(job, done)
    if reading.judges:
        return _AssessedStep(done, reading, ValidationResult())
    validation = contamination.examine(
        done.text,
        handoff.goal,
        active_errors=len(handoff.active_errors),
        current_step=handoff.current_step + 1,
    )
    if validation.valid:
        return _AssessedStep(done, reading, validation)
    if _was_put_aside(done, ended):
        validation = validation.repeated()
    if done.streamed:
        return _AssessedStep(done, reading, validation)
    return _AssessedStep(replace(done, problem="contaminated"), reading, validation)


def _was_put_aside(done: FinishedStep, ended: Sequence[FinishedStep]) -> bool:
    """Whether an earlier try of the same step ended without an error and yet was done again."""
    return any(
        logical(other.step.name) == logical(done.step.name)
        and other.step.name != done.step.name
        and other.outcome.error is None
        for other in ended
    )


def _again(
    job: Job, mode: Mode, assessed: _AssessedStep, ended: Sequence[FinishedStep]
) -> Step | None:
    """The step that is done once more; None where it stays as it is."""
    done = assessed.done
    if done.streamed:
        return None
    tries = [other for other in ended if logical(other.step.name) == logical(done.step.name)]
    error = done.error
    if error is not None:
        if done.outcome.finish_reason == LATE:
            return None
        failures = sum(attempt.outcome.error is not None for attempt in tries)
        if not error.retriable or failures > MOST_RETRIES:
            return None
        return done.step.again(len(tries), done.step.assignment, error.retry_after_ms or 0)
    if assessed.validation.severity is Severity.HIGH and not is_answer(done.step.name):
        return done.step.again(len(tries), mode.fresh(job, done))
    return None


def _patience(job: Job, again: Sequence[Step]) -> Patience | None:
    """How long steps that are done again are waited for: as long as in the round before."""
    timeout_s = job.bounds.get("timeout_s")
    if timeout_s is None or any(is_answer(step.name) for step in again):
        return None
    delay_s = max(step.delay_ms for step in again) / 1000
    return Patience(len(again), 0.0, float(timeout_s) + delay_s)


def _note(handoff: HandoffState, assessed: _AssessedStep) -> HandoffState:
    done, reading = assessed.done, assessed.reading
    if reading.judges:
        return handoff.with_errors(reading.errors, reading.evidence)
    name = f"{done.step.name} by {done.step.model}"
    if not done.usable:
        problem = done.problem or (done.error.message if done.error else "it is empty")
        entry = f"{logical(done.step.name)} by {done.step.model}: {problem}"
        # Tried again, it is still one thing that is wrong.
        return handoff if entry in handoff.active_errors else handoff.with_errors((entry,))
    accepted = handoff.accepted(f"{name}: {_short(done.text)}", done.text)
    return accepted.with_errors(tuple(f"{name} {issue}" for issue in assessed.validation.issues))


def _report(assessed: _AssessedStep) -> dict[str, object]:
    report: dict[str, object] = dict(assessed.reading.findings)
    if assessed.validation.issues:
        report["contamination"] = assessed.validation.severity.name.lower()
        report["validation"] = assessed.validation.to_dict()
    return report


def _short(text: str) -> str:
    text = " ".join(text[: 8 * _LONGEST_DECISION].split())
    return text if len(text) <= _LONGEST_DECISION else f"{text[:_LONGEST_DECISION]} [...]"
