"""The saga: what is done again, what is put aside, and when the mode decides what comes next. Pure.

A step that failed and may succeed later is tried at most three times more, after the pause that its
error names. A contaminated text is put aside and its step done once more without what came before;
if that is no better, the job ends with what it has. A text that its caller has already seen is only
reported: nothing can be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestration import contamination
from orchestration.contamination import Findings, Severity
from orchestration.handoff import HandoffState, begin
from orchestration.modes.base import Mode, Reading
from orchestration.modes.rounds import FinishedStep, History, Next, Round, Step, latest, logical
from workers.contract.events import Assessed
from workers.contract.job import Job
from workers.contract.step import LATE, is_answer
from workers.store.planned import Patience

#: How often a step is tried again after an error.
MOST_RETRIES = 3
#: Characters of a text that stand for it among the decisions.
_LONGEST_DECISION = 160


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a round."""

    next: Next
    handoff: HandoffState
    assessed: tuple[Assessed, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    done: FinishedStep
    reading: Reading
    found: Findings


def decide(
    job: Job, mode: Mode, ended: Sequence[FinishedStep], handoff: HandoffState | None = None
) -> Decision:
    """What follows when a round has ended; `handoff` is what the round before it handed on.

    `ended` are all steps that have ended, in the order in which they were planned. Without a
    `handoff`, since none is kept any longer, it is made anew from them.
    """
    number = max(done.round for done in ended)
    judged, replayed = _replay(job, mode, [done for done in ended if done.round < number])
    handoff = handoff or replayed
    round_ = [_judge(job, mode, done, ended, handoff) for done in latest(ended)]
    assessed = tuple(
        Assessed(0, one.done.step.name, told) for one in round_ if (told := _told(one))
    )
    again = [step for one in round_ if (step := _again(job, mode, one, ended)) is not None]
    for one in round_:
        handoff = _note(handoff, one)
    if again:
        return Decision(Round(tuple(again), _patience(job, again)), handoff, assessed)
    done = {logical(one.done.step.name): one.done for one in (*judged, *round_)}
    return Decision(mode.advance(job, History(done, handoff)), handoff, assessed)


def _replay(
    job: Job, mode: Mode, ended: Sequence[FinishedStep]
) -> tuple[list[_Judged], HandoffState]:
    """What was found in earlier rounds, and the state behind them."""
    handoff = begin(job, mode.total_steps(job))
    judged: list[_Judged] = []
    for number in sorted({done.round for done in ended}):
        before = [done for done in ended if done.round <= number]
        round_ = [_judge(job, mode, done, before, handoff) for done in latest(before)]
        for one in round_:
            handoff = _note(handoff, one)
        judged += round_
    return judged, handoff


def _judge(
    job: Job, mode: Mode, done: FinishedStep, ended: Sequence[FinishedStep], handoff: HandoffState
) -> _Judged:
    if done.outcome.error is not None:
        return _Judged(done, Reading(), Findings(Severity.NONE))
    reading = mode.read(job, done)
    if reading.judges:
        return _Judged(done, reading, Findings(Severity.NONE))
    found = contamination.examine(
        done.text,
        handoff.goal,
        active_errors=len(handoff.active_errors),
        current_step=handoff.current_step + 1,
    )
    if found.severity < Severity.HIGH:
        return _Judged(done, reading, found)
    if _was_put_aside(done, ended):
        found = replace(found, severity=Severity.CRITICAL)
    if done.streamed:
        return _Judged(done, reading, found)
    return _Judged(replace(done, problem="contaminated"), reading, found)


def _was_put_aside(done: FinishedStep, ended: Sequence[FinishedStep]) -> bool:
    """Whether an earlier try of the same step ended without an error and yet was done again."""
    return any(
        logical(one.step.name) == logical(done.step.name)
        and one.step.name != done.step.name
        and one.outcome.error is None
        for one in ended
    )


def _again(job: Job, mode: Mode, judged: _Judged, ended: Sequence[FinishedStep]) -> Step | None:
    """The step that is done once more; None where it stays as it is."""
    done = judged.done
    if done.streamed:
        return None
    tries = [one for one in ended if logical(one.step.name) == logical(done.step.name)]
    error = done.error
    if error is not None:
        if done.outcome.finish_reason == LATE:
            return None
        failures = sum(one.outcome.error is not None for one in tries)
        if not error.retriable or failures > MOST_RETRIES:
            return None
        return done.step.again(len(tries), done.step.assignment, error.retry_after_ms or 0)
    if judged.found.severity is Severity.HIGH and not is_answer(done.step.name):
        return done.step.again(len(tries), mode.fresh(job, done))
    return None


def _patience(job: Job, again: Sequence[Step]) -> Patience | None:
    """How long steps that are done again are waited for: as long as in the round before."""
    timeout_s = job.bounds.get("timeout_s")
    if timeout_s is None or any(is_answer(step.name) for step in again):
        return None
    delay_s = max(step.delay_ms for step in again) / 1000
    return Patience(len(again), 0.0, float(timeout_s) + delay_s)


def _note(handoff: HandoffState, judged: _Judged) -> HandoffState:
    done, reading = judged.done, judged.reading
    if reading.judges:
        return handoff.with_errors(reading.errors, reading.evidence)
    name = f"{done.step.name} by {done.step.model}"
    if not done.usable:
        problem = done.problem or (done.error.message if done.error else "it is empty")
        told = f"{logical(done.step.name)} by {done.step.model}: {problem}"
        # Tried again, it is still one thing that is wrong.
        return handoff if told in handoff.active_errors else handoff.with_errors((told,))
    accepted = handoff.accepted(f"{name}: {_short(done.text)}", done.text)
    return accepted.with_errors(tuple(f"{name} {sign}" for sign in judged.found.signs))


def _told(judged: _Judged) -> dict[str, object]:
    told: dict[str, object] = dict(judged.reading.findings)
    if judged.found.signs:
        told["contamination"] = judged.found.severity.name.lower()
        told["signs"] = list(judged.found.signs)
    return told


def _short(text: str) -> str:
    text = " ".join(text[: 8 * _LONGEST_DECISION].split())
    return text if len(text) <= _LONGEST_DECISION else f"{text[:_LONGEST_DECISION]} [...]"
