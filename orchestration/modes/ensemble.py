"""Mode `ensemble`: models answer at once, their answers are compared, and one writes what follows.

The synthesis is told what the answers agree in and where they contradict each other, and streams
live. Where all said the very same there is nothing to write. Without a synthesiser, which is
self-consistency, the vote alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestration.modes import fallbacks, judging, members
from orchestration.modes.agreement import EXACT, Agreement
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.base import Reading
from orchestration.modes.rounds import Answer, Failure, FinishedStep, History, Next, Round, Step
from orchestration.prompts import FORBIDDEN, LAST, Prompts, Trajectory
from workers.contract.errors import OrchestrationFailed
from workers.contract.job import Job
from workers.contract.step import ANSWER, Assignment

MEMBER, SYNTHESISER = "member", "synthesiser"
#: What an ensemble that does not agree does.
ON_DISSENT_FAIL = "fail"


class Ensemble:
    """One round of all members, a judge where one is needed, and the answer."""

    def __init__(self, templates: Prompts) -> None:
        self._templates = templates

    def total_steps(self, job: Job) -> int:
        """All members, and the synthesis; a judgement is no step of the plan."""
        return len(members.of_part(job, MEMBER, SYNTHESISER))

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        cast = members.of_part(job, MEMBER)
        steps = [self._member(job, place) for place in range(len(cast))]
        return Round(tuple(steps), members.patience(job, len(steps)))

    def advance(self, job: Job, story: History) -> Next:
        """See `Mode.advance`."""
        answered = [done for done in story.of_part(MEMBER) if done.usable]
        total = self.total_steps(job)
        needed = members.quorum(job, len(members.of_part(job, MEMBER)))
        if len(answered) < needed:
            return members.too_few(story, answered, needed, total, MEMBER)
        found = members.compared(job, answered, 1, story.done.get(judging.PART))
        if found is None:
            return Round((self._judge(job, answered),), members.patience(job, 1))
        told = _facts(job, found, story)
        if ANSWER in story.done:
            return self._end(job, story.done[ANSWER], answered, found, told)
        if _dissents(job, found) and job.bounds["on_dissent"] == ON_DISSENT_FAIL:
            return Failure(_dissent(job, found))
        settled = len(answered) == 1 or (found.unanimous and found.method == EXACT)
        synthesiser = members.of_part(job, SYNTHESISER)
        if settled or not synthesiser:
            return Answer(members.chosen(answered, found), total, facts=told)
        return Round((self._synthesise(job, synthesiser[0].model, answered, found),))

    def read(self, _job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return judging.reading(done) if done.step.part == judging.PART else Reading()

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone: what a member was asked already."""
        return done.step.assignment

    def _member(self, job: Job, place: int) -> Step:
        cast = members.of_part(job, MEMBER)
        messages = self._templates.messages(job, "draft", _trajectory(1, "draft"))
        sampling = members.sampling(job, cast, place)
        assignment = Assignment(messages, sampling)
        return Step(f"{MEMBER}-{place + 1}", MEMBER, cast[place].model, assignment)

    def _judge(self, job: Job, answered: Sequence[FinishedStep]) -> Step:
        order = members.shuffled(job, 1, 0, len(answered))
        texts = [answered[at].text for at in order]
        (judge,) = members.of_part(job, judging.PART)
        told = _trajectory(1, judging.PART)
        return judging.step(self._templates, job, judging.PART, judge.model, texts, told)

    def _synthesise(
        self, job: Job, model: str, answered: Sequence[FinishedStep], found: Agreement
    ) -> Step:
        order = members.shuffled(job, 2, 0, len(answered))
        messages = self._templates.messages(
            job,
            "synthesise",
            _trajectory(2, ANSWER),
            answers=tuple(answered[at].text for at in order),
            votes=_votes(found),
            agreed=found.agreed,
            conflicts=found.conflicts,
            dissents=_dissents(job, found),
        )
        return Step(ANSWER, SYNTHESISER, model, Assignment(messages, job.sampling))

    def _end(
        self,
        job: Job,
        written: FinishedStep,
        answered: Sequence[FinishedStep],
        found: Agreement,
        told: dict[str, Any],
    ) -> Answer | Failure:
        """The synthesis; where it failed, the answer that most support."""
        total = self.total_steps(job)
        if written.usable:
            return Answer(written, total, facts=told)
        return fallbacks.fall_back([members.chosen(answered, found), written], total, told)


def _facts(job: Job, found: Agreement, story: History) -> dict[str, Any]:
    told: dict[str, Any] = {"rounds": 1, **members.facts(found, story, MEMBER)}
    if _dissents(job, found):
        told["note"] = _dissent(job, found).message
    return told


def _dissents(job: Job, found: Agreement) -> bool:
    return found.score is not None and found.score < float(job.bounds["min_agreement"])


def _dissent(job: Job, found: Agreement) -> OrchestrationFailed:
    least = float(job.bounds["min_agreement"])
    return OrchestrationFailed(
        f"The models do not agree: {len(found.leaders)} of {len(found.voters)} say the same "
        f"({found.score:g}), and {least:g} is asked for (INFERENCE_ENSEMBLE_MIN_AGREEMENT).",
        details={"agreement": found.to_dict()},
    )


def _votes(found: Agreement) -> tuple[dict[str, Any], ...]:
    """How many said what, where that is short enough to be told."""
    if found.kind in (Kind.TEXT, Kind.JSON):
        return ()
    told = found.to_dict()["clusters"]
    return tuple({"answer": one["answer"], "count": len(one["steps"])} for one in told)


def _trajectory(number: int, name: str) -> Trajectory:
    previous = "none" if number == 1 else "draft"
    return Trajectory(
        number, 2, name, previous, LAST if number == 2 else "the answers are compared", FORBIDDEN
    )
