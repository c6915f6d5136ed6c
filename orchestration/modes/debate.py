"""Mode `debate`: models answer at once, see what the others said, and answer again.

A debate ends when all say the same, when nobody has changed sides, or after its last round; then
one of them writes the answer, live. Where all said the very same there is nothing to write: that is
the answer. Answers of the first round stay in the running to the end: what a round of talk made
fewer believe does not replace what more believed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.modes import answer_kinds, fallbacks, judging, members
from orchestration.modes.agreement import EXACT, Agreement
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.base import Reading
from orchestration.modes.rounds import Answer, Failure, FinishedStep, History, Next, Round, Step
from orchestration.prompts import FORBIDDEN, LAST, Prompts, Trajectory
from workers.contract.job import Job, Part
from workers.contract.step import ANSWER, Assignment

PARTICIPANT, RECONCILER = "participant", "reconciler"


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One round of a debate that has ended."""

    number: int
    #: Participants, by their places in the cast, that gave an answer.
    places: tuple[int, ...]
    answers: tuple[FinishedStep, ...]
    #: None where its judge has yet to say.
    found: Agreement | None

    def side(self, place: int) -> object:
        """Where a participant stands: with whom, or with what words."""
        at = self.places.index(place)
        if self.found is None or not self.found.clusters:
            return answer_kinds.plain(self.answers[at].text)
        group = next(group for group in self.found.clusters if at in group)
        if self.found.method == EXACT and self.found.kind is not Kind.TEXT:
            return answer_kinds.read([self.answers[at].text])[1][0]
        return frozenset(self.places[one] for one in group)


class Debate:
    """Rounds of all participants at once, a judge where one is needed, and the answer."""

    def __init__(self, templates: Prompts) -> None:
        self._templates = templates

    def total_steps(self, job: Job) -> int:
        """All participants in all rounds, and the answer; a judgement is no step of the plan."""
        return len(members.of_part(job, PARTICIPANT)) * _rounds(job) + 1

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        places = range(len(members.of_part(job, PARTICIPANT)))
        return self._round(job, [self._first(job, place) for place in places])

    def advance(self, job: Job, story: History) -> Next:
        """See `Mode.advance`."""
        live_completions = _exchanges(job, story)
        first, last = live_completions[0], live_completions[-1]
        needed = members.quorum(job, len(members.of_part(job, PARTICIPANT)))
        if len(first.answers) < needed:
            total = self.total_steps(job)
            return members.too_few(story, first.answers, needed, total, PARTICIPANT)
        if ANSWER in story.done:
            return self._end(job, story, live_completions)
        if len(first.answers) == 1:  # nobody to talk with
            facts = _facts(live_completions, story)
            return Answer(first.answers[0], self.total_steps(job), facts=facts)
        if len(last.answers) < 2:  # the talk broke up: what was said before it counts
            return self._reconcile(job, live_completions)
        if last.found is None:
            return Round((self._judge(job, last),), members.patience(job, 1))
        if last.found.unanimous and last.found.method == EXACT:
            chosen = members.chosen(last.answers, last.found)
            return Answer(chosen, self.total_steps(job), facts=_facts(live_completions, story))
        over = last.found.unanimous or last.number == _rounds(job)
        if over or (len(live_completions) > 1 and _nobody_changed(live_completions[-2], last)):
            return self._reconcile(job, live_completions)
        steps = [self._again(job, last, place) for place in last.places]
        return self._round(job, steps)

    def read(self, _job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return judging.reading(done) if done.step.part == judging.PART else Reading()

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone."""
        if done.step.part != PARTICIPANT:
            return done.step.assignment
        return self._first(job, _place(done)).assignment

    def _round(self, job: Job, steps: Sequence[Step]) -> Round:
        return Round(tuple(steps), members.patience(job, len(steps)))

    def _first(self, job: Job, place: int) -> Step:
        messages = self._templates.messages(job, "draft", _trajectory(job, 1))
        return _step(job, place, 1, messages)

    def _again(self, job: Job, last: _Exchange, place: int) -> Step:
        number = last.number + 1
        own = last.answers[last.places.index(place)]
        others = [done for done in last.answers if done is not own]
        order = members.shuffled(job, number, place + 1, len(others))
        messages = self._templates.messages(
            job,
            "debate",
            _trajectory(job, number),
            previous=own.text,
            others=tuple(others[at].text for at in order),
        )
        return _step(job, place, number, messages)

    def _judge(self, job: Job, last: _Exchange) -> Step:
        order = members.shuffled(job, last.number, 0, len(last.answers))
        texts = [last.answers[at].text for at in order]
        told = _trajectory(job, last.number, "judge")
        (judge,) = members.of_part(job, judging.PART)
        name = f"{judging.PART}-{last.number}"
        return judging.step(self._templates, job, name, judge.model, texts, told)

    def _reconcile(self, job: Job, live_completions: Sequence[_Exchange]) -> Round:
        last = live_completions[-1]
        candidates = [done.text for done in last.answers]
        seen = {answer_kinds.plain(text) for text in candidates}
        for done in live_completions[0].answers:  # what was given up may have been right
            if answer_kinds.plain(done.text) not in seen:
                seen.add(answer_kinds.plain(done.text))
                candidates.append(done.text)
        order = members.shuffled(job, 0, 0, len(candidates))
        found = last.found
        messages = self._templates.messages(
            job,
            "reconcile",
            _trajectory(job, _rounds(job) + 1, ANSWER),
            answers=tuple(candidates[at] for at in order),
            agreed=found.agreed if found else (),
            conflicts=found.conflicts if found else (),
        )
        (reconciler,) = members.of_part(job, RECONCILER)
        assignment = Assignment(messages, job.sampling)
        return Round((Step(ANSWER, RECONCILER, reconciler.model, assignment),))

    def _end(
        self, job: Job, story: History, live_completions: Sequence[_Exchange]
    ) -> Answer | Failure:
        """The written answer; where it failed, the one that most stood behind in any round."""
        written, total = story.done[ANSWER], self.total_steps(job)
        told = _facts(live_completions, story)
        if written.usable:
            return Answer(written, total, facts=told)
        answered = [one for one in reversed(live_completions) if one.answers]
        best = max(answered, key=lambda one: (one.found and one.found.score) or 0.0)
        candidates = [members.chosen(best.answers, best.found), written]
        return fallbacks.fall_back(candidates, total, told)


def _exchanges(job: Job, story: History) -> list[_Exchange]:
    """The rounds in which participants have answered."""
    of_round: dict[int, list[FinishedStep]] = {}
    for done in story.of_part(PARTICIPANT):
        of_round.setdefault(_number(done), []).append(done)
    found = []
    for number, ended in sorted(of_round.items()):
        answers = [done for done in ended if done.usable]
        judge = story.done.get(f"{judging.PART}-{number}")
        compared = members.compared(job, answers, number, judge)
        found.append(_Exchange(number, tuple(map(_place, answers)), tuple(answers), compared))
    return found


def _nobody_changed(before: _Exchange, now: _Exchange) -> bool:
    return all(before.side(place) == now.side(place) for place in now.places)


def _facts(live_completions: Sequence[_Exchange], story: History) -> dict[str, Any]:
    last = next(
        (one for one in reversed(live_completions) if len(one.answers) > 1), live_completions[-1]
    )
    return {"rounds": len(live_completions), **members.facts(last.found, story, PARTICIPANT)}


def _step(job: Job, place: int, number: int, messages: Any) -> Step:
    participants: Sequence[Part] = members.of_part(job, PARTICIPANT)
    sampling = members.sampling(job, participants, place, number)
    name = f"{PARTICIPANT}-{place + 1}-{number}"
    return Step(name, PARTICIPANT, participants[place].model, Assignment(messages, sampling))


def _trajectory(job: Job, number: int, name: str | None = None) -> Trajectory:
    last = number > _rounds(job)
    return Trajectory(
        number,
        _rounds(job) + 1,
        name or f"round {number}",
        "none" if number == 1 else f"round {number - 1}",
        LAST if last else "the answers are compared",
        FORBIDDEN,
    )


def _place(done: FinishedStep) -> int:
    return int(done.step.name.partition(".")[0].split("-")[1]) - 1


def _number(done: FinishedStep) -> int:
    return int(done.step.name.partition(".")[0].split("-")[2])


def _rounds(job: Job) -> int:
    return int(job.bounds["max_rounds"])
