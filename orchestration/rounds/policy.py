"""The round policy: what is done again, what is put aside, and when the mode decides. Pure.

A step that failed and may succeed later is tried at most three times more, after the pause that its
error names. A contaminated text is put aside and its step done once more without what came before;
if that is no better, the job ends with what it has. A text that its caller has already seen is only
reported: nothing can be taken back. Before the mode goes on from texts, the fast model reads them,
where that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestration.context import contradictions, extraction, history, reading_steps
from orchestration.context.handed_on import HandedOn
from orchestration.context.layout import PromptPlan
from orchestration.context.planning import Fitting, Planner
from orchestration.handoff import HandoffState, begin
from orchestration.modes.base import Mode
from orchestration.modes.rounds import (
    FinishedStep,
    History,
    JobAnswer,
    JobFailure,
    Next,
    Round,
    Step,
    latest,
    logical,
)
from orchestration.rounds import assessment
from orchestration.rounds.assessment import AssessedStep, Ended
from orchestration.validation import Severity, ValidationResult
from workers.contract.errors import CompressionFailed, ContextBudgetExceeded
from workers.contract.events import Assessed
from workers.contract.job import COMPRESS, Job
from workers.contract.step import ANSWER, LATE, Assignment, is_answer
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
    #: What the prompts of the next round were planned to have, by the steps' names, and those of
    #: steps that ended without a plan.
    plans: Mapping[str, PromptPlan] = field(default_factory=dict)


def state_before(ended: Sequence[FinishedStep]) -> int:
    """The number of the round whose handoff `decide` begins from; 0: there is none yet."""
    own = Ended.of(ended).own
    return max((done.round for done in own), default=1) - 1


def decide(
    job: Job,
    mode: Mode,
    ended: Sequence[FinishedStep],
    handoff: HandoffState | None = None,
    planner: Planner | None = None,
) -> RoundDecision:
    """What follows when a round has ended; `handoff` is what round `state_before` handed on.

    `ended` are all steps that have ended, in the order in which they were planned. Without a
    `handoff`, since none is kept any longer, it is made anew from them. Without a `planner` nothing
    is counted, and prompts are as long as they are.

    Raises:
        InferenceError, redis.RedisError: as `Planner.fit`.
    """
    steps = Ended.of(ended)
    if not steps.own:
        return _begun(job, mode, steps, planner)
    earlier, replayed = assessment.replay(job, mode, steps)
    before = handoff or replayed
    current = assessment.assess_round(job, mode, steps, before)
    after = assessment.handed_on(before, current)
    every = (*earlier, *current)
    validations = {each.done.step.name: each.validation for each in every if each.validation.issues}
    texts = [
        HandedOn(each.done, each.compressed, each.before)
        for each in every
        if each.done.usable and not each.reading.judges
    ]
    told = {} if planner is None else planner.told(job, steps.own, texts)
    fitting = Fitting()
    readers = _readers_again(steps)
    again = [step for each in current if (step := _again(job, mode, each, steps)) is not None]
    next_: Next
    if again:
        next_ = Round(tuple(again), _patience(job, again))
    else:
        done = {logical(each.done.step.name): each.done for each in every}
        next_ = mode.advance(job, History(done, after))
        if planner is not None and not readers:
            next_, fitting = _fitted(job, mode, History(done, after), texts, next_, planner)
    readers = readers or [
        *_readers(job, mode, steps, current, next_, fitting, planner),
        *fitting.compressions,
    ]
    if readers:
        return RoundDecision(
            Round(tuple(readers), _of_readers(job, readers)), after, (), validations, told
        )
    if isinstance(next_, JobAnswer) and job.compression == COMPRESS:
        made = history.read(job, steps.read).compressed
        facts = {**next_.facts, **history.report(job, made, next_.done.plan)}
        next_ = replace(next_, facts=facts, usage=None)  # that of all steps
    events = tuple(event for each in current if (event := each.event) is not None)
    return RoundDecision(next_, after, events, validations, {**told, **fitting.plans})


def _begun(job: Job, mode: Mode, steps: Ended, planner: Planner | None) -> RoundDecision:
    """The answer to a conversation whose old turns may be shortened, or what shortens them first.

    Where nobody had to shorten anything, the answer's end is the job's, as always.
    """
    handoff = begin(job, 1)
    handed = history.read(job, steps.read)
    messages = history.messages(mode.prompts, job, handed.compressed)
    assignment = None if messages is job.messages else Assignment(messages, job.sampling)
    answer, alone = Step(ANSWER, ANSWER, job.model, assignment), handed.compressed is None
    round_ = Round((answer,), ends_job=alone, needs_all=not alone)
    if planner is None:
        return RoundDecision(round_, handoff, (), {})
    if again := _readers_again(steps):
        return RoundDecision(Round(tuple(again), _of_readers(job, again)), handoff, (), {})
    try:
        plan, first = planner.fit_history(mode.prompts, job, handed, messages)
    except (CompressionFailed, ContextBudgetExceeded) as error:
        return RoundDecision(JobFailure(error), handoff, (), {})
    if first:
        return RoundDecision(Round(first, _of_readers(job, first)), handoff, (), {})
    return RoundDecision(round_, handoff, (), {}, {ANSWER: plan})


def _fitted(
    job: Job,
    mode: Mode,
    so_far: History,
    texts: Sequence[HandedOn],
    next_: Next,
    planner: Planner,
) -> tuple[Next, Fitting]:
    """What follows once every prompt fits, and what has to be done for that.

    A step that cannot be made to fit has failed before it ran: its mode decides what that means. A
    mode that wants it all the same has failed itself.
    """
    done, seen = dict(so_far.done), set[str]()
    while isinstance(next_, Round):
        fitting = planner.fit(mode.prompts, job, next_, texts)
        if not fitting.refused:
            return next_, fitting
        for step in next_.steps:
            if (error := fitting.refused.get(step.name)) is None:
                continue
            if step.name in seen:
                return JobFailure(error), Fitting()
            seen.add(step.name)
            done[logical(step.name)] = FinishedStep.refused(step, error)
        next_ = mode.advance(job, History(done, so_far.handoff))
    return next_, Fitting()


def _readers_again(steps: Ended) -> list[Step]:
    """Readers of the last round that failed, and may read when they are asked once more."""
    last = steps.read and latest((*steps.own, *steps.read))
    tries = [(done, steps.tries_of(done)) for done in last if done.step.reads_handoff]
    return [step for done, all_ in tries if (step := _retried(done, all_)) is not None]


def _readers(
    job: Job,
    mode: Mode,
    steps: Ended,
    current: Sequence[AssessedStep],
    next_: Next,
    fitting: Fitting,
    planner: Planner | None,
) -> list[Step]:
    """Who has to read the texts of the last round before what follows.

    An answer is judged, too: it was seen, but its caller is told. A text that is shortened says
    then what it settles. One that its reader's window does not take goes on unread.
    """
    texts = [each for each in current if not each.reading.judges]
    wanted = [
        contradictions.step(mode.prompts, job, mode, each.done, each.before)
        for each in texts
        if contradictions.needed(job, mode, each.done, each.before)
    ]
    if mode.hands_on_texts and isinstance(next_, Round) and not fitting.compressions:
        wanted += [
            extraction.step(mode.prompts, job, each.done)
            for each in texts
            if each.compressed is None and extraction.needed(each.done)
        ]
    new = (step for step in wanted if steps.reader(step.name) is None)
    return [step for step in new if planner is None or planner.takes(step)]


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


def _of_readers(job: Job, readers: Sequence[Step]) -> Patience | None:
    return reading_steps.patience(job, len(readers))


def _patience(job: Job, again: Sequence[Step]) -> Patience | None:
    """How long steps that are done again are waited for: as long as in the round before."""
    timeout_s = job.bounds.get("timeout_s")
    if timeout_s is None or any(is_answer(step.name) for step in again):
        return None
    delay_s = max(step.delay_ms for step in again) / 1000
    return Patience(len(again), 0.0, float(timeout_s) + delay_s)
