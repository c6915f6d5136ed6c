"""The round policy: what is done again, what is put aside, and when the mode decides. Pure.

A step that failed and may succeed later is tried at most three times more, after the pause that its
error names. A contaminated text is put aside and its step done once more without what came before;
if that is no better, the job ends with what it has. A text that its caller has already seen is only
reported: nothing can be taken back. Before the mode goes on from texts, the fast model reads them,
where that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.context import contradictions, extraction, reading_steps
from orchestration.handoff import HandoffState
from orchestration.modes.base import Mode
from orchestration.modes.rounds import FinishedStep, History, Next, Round, Step, logical
from orchestration.rounds import assessment
from orchestration.rounds.assessment import AssessedStep, Ended
from orchestration.validation import Severity, ValidationResult
from workers.contract.events import Assessed
from workers.contract.job import Job
from workers.contract.step import LATE, is_answer
from workers.store.planned import Patience

#: How often a step is tried again after an error.
MOST_RETRIES = 3


@dataclass(frozen=True, slots=True)
class RoundDecision:
    """What follows from a round."""

    next: Next
    handoff: HandoffState
    assessed: tuple[Assessed, ...]
    #: What was found in the text of each step that has ended, by its name; of the others nothing.
    validations: Mapping[str, ValidationResult]


def state_before(ended: Sequence[FinishedStep]) -> int:
    """The number of the round whose handoff `decide` begins from; 0: there is none yet."""
    return Ended.of(ended).round - 1


def decide(
    job: Job, mode: Mode, ended: Sequence[FinishedStep], handoff: HandoffState | None = None
) -> RoundDecision:
    """What follows when a round has ended; `handoff` is what round `state_before` handed on.

    `ended` are all steps that have ended, in the order in which they were planned. Without a
    `handoff`, since none is kept any longer, it is made anew from them.
    """
    steps = Ended.of(ended)
    earlier, replayed = assessment.replay(job, mode, steps)
    before = handoff or replayed
    current = assessment.assess_round(job, mode, steps, before)
    after = assessment.handed_on(before, current)
    every = (*earlier, *current)
    validations = {each.done.step.name: each.validation for each in every if each.validation.issues}
    next_ = _next(job, mode, steps, every, current, after)
    if readers := _readers(job, mode, steps, current, before, next_):
        patience = reading_steps.patience(job, len(readers))
        return RoundDecision(Round(readers, patience), after, (), validations)
    events = tuple(event for each in current if (event := each.event) is not None)
    return RoundDecision(next_, after, events, validations)


def _next(
    job: Job,
    mode: Mode,
    steps: Ended,
    every: Sequence[AssessedStep],
    current: Sequence[AssessedStep],
    handoff: HandoffState,
) -> Next:
    """What follows from the mode's own steps: some of them again, or what the mode decides."""
    again = [step for each in current if (step := _again(job, mode, each, steps)) is not None]
    if again:
        return Round(tuple(again), _patience(job, again))
    done = {logical(each.done.step.name): each.done for each in every}
    return mode.advance(job, History(done, handoff))


def _readers(
    job: Job,
    mode: Mode,
    steps: Ended,
    current: Sequence[AssessedStep],
    before: HandoffState,
    next_: Next,
) -> tuple[Step, ...]:
    """Who has to read the texts of the last round before what follows; `before` it was the state.

    An answer is judged, too: it was seen, but its caller is told.
    """
    texts = [each.done for each in current if not each.reading.judges]
    wanted = [
        contradictions.step(mode.prompts, job, mode, done, before)
        for done in texts
        if contradictions.needed(job, mode, done, before)
    ]
    if mode.hands_on_texts and isinstance(next_, Round):
        long = [done for done in texts if extraction.needed(done)]
        wanted += [extraction.step(mode.prompts, job, done) for done in long]
    planned: list[Step | None] = []
    for step in wanted:
        done = steps.reader(step.name)
        planned.append(step if done is None else _retried(done, steps.tries_of(done)))
    return tuple(step for step in planned if step is not None)


def _again(job: Job, mode: Mode, assessed: AssessedStep, steps: Ended) -> Step | None:
    """The step that is done once more; None where it stays as it is."""
    done = assessed.done
    if done.streamed:
        return None
    tries = steps.tries_of(done)
    if done.error is not None:
        return _retried(done, tries)
    if assessed.validation.severity is Severity.HIGH and not is_answer(done.step.name):
        return done.step.again(len(tries), mode.fresh(job, done))
    return None


def _retried(done: FinishedStep, tries: Sequence[FinishedStep]) -> Step | None:
    """The step that failed once more, after these tries; None where that is of no use."""
    error = done.error
    if error is None or done.outcome.finish_reason == LATE:
        return None
    failures = sum(attempt.outcome.error is not None for attempt in tries)
    if not error.retriable or failures > MOST_RETRIES:
        return None
    return done.step.again(len(tries), done.step.assignment, error.retry_after_ms or 0)


def _patience(job: Job, again: Sequence[Step]) -> Patience | None:
    """How long steps that are done again are waited for: as long as in the round before."""
    timeout_s = job.bounds.get("timeout_s")
    if timeout_s is None or any(is_answer(step.name) for step in again):
        return None
    delay_s = max(step.delay_ms for step in again) / 1000
    return Patience(len(again), 0.0, float(timeout_s) + delay_s)
