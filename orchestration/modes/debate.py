"""Mode `debate`: models answer at once, see what the others said, and answer again.

A debate ends when all say the same, when nobody has changed sides, or after its last round; then
one of them writes the answer, live. Where all said the very same there is nothing to write: that is
the answer. Answers of the first round stay candidates to the end: what a round of debate made fewer
believe does not replace what more believed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestration.modes import answer_kinds, debate_rounds, fallbacks, judging, members
from orchestration.modes.agreement import EXACT
from orchestration.modes.base import Bounds, Mode, Reading
from orchestration.modes.casting import CastingInputs
from orchestration.modes.debate_rounds import PARTICIPANT, DebateRound
from orchestration.modes.registry import register
from orchestration.modes.rounds import (
    FinishedStep,
    History,
    JobAnswer,
    JobFailure,
    Next,
    Round,
    Step,
)
from orchestration.prompts.template import DRAFT, Template
from orchestration.prompts.trajectory import FORBIDDEN, LAST, Trajectory
from orchestration.routing.roles import roles_for
from presets.model import ModelSpec
from presets.preset import Preset
from workers.contract.job import CastMember, Job, Message
from workers.contract.step import ANSWER, Assignment
from workers.settings import Settings

RECONCILER = "reconciler"
DEBATE = Template(
    "debate",
    """\
{{ request }}

You answered before:
---
{{ previous }}
---
Others answered the same:
{% for answer in others %}
--- answer {{ loop.index }}
{{ answer }}
{% endfor %}
---
Check your answer against theirs. Keep what is right, whoever said it; change your mind only for a \
reason you can name. Give your whole answer to the request and nothing else.
""",
    {"request": "r", "previous": "p", "others": ("o",)},
    "which answer is right, whoever gave it",
)
RECONCILE = Template(
    "reconcile",
    """\
{{ request }}

Several answers to this were given:
{% for answer in answers %}
--- answer {{ loop.index }}
{{ answer }}
{% endfor %}
---
{% if agreed %}
They agree in this:
{% for point in agreed %}
- {{ point }}
{% endfor %}
{% endif %}
{% if conflicts %}
They contradict each other in this:
{% for point in conflicts %}
- {{ point }}
{% endfor %}
{% endif %}
Decide what is right where they differ, and write the one answer to the request. Give that answer \
and nothing else.
""",
    {"request": "r", "answers": ("a",), "agreed": ("a",), "conflicts": ("c",)},
    "what is right where the answers differ",
)


@register
class Debate(Mode):
    """Rounds of all participants at once, a judge where one is needed, and the answer."""

    name = "debate"
    templates = (DRAFT, DEBATE, judging.TEMPLATE, RECONCILE)
    preset_fields = ("reconciler", "members", "temperature")

    @classmethod
    def lead_of(cls, preset: Preset) -> str:
        """The reconciler."""
        return preset.reconciler or preset.models[0]

    @classmethod
    def leader(cls, inputs: CastingInputs) -> ModelSpec:
        """Who writes: the named model, else the preset's reconciler, else the settings' one."""
        preset = inputs.preset
        wanted = cls.lead_of(preset) if preset else inputs.settings.debate_reconcile_model
        return inputs.writer(wanted)

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """The lead, beside it the preset's others; else a coder, a thinker and a long reader."""
        lead, preset = inputs.lead.id, inputs.preset
        if preset is not None:
            models = members.in_turn(preset, [lead, *preset.models])
        else:
            models = _by_roles(inputs)
        if len(models) < 2:
            raise inputs.missing("a second model to debate with")
        participants = [CastMember(PARTICIPANT, model) for model in models]
        return (*participants, CastMember(RECONCILER, lead), judging.member(inputs))

    @classmethod
    def bounds(cls, settings: Settings, preset: Preset | None) -> Bounds:
        """See `Mode.bounds`."""
        return {**members.bounds(settings, preset), "max_rounds": settings.debate_max_rounds}

    def total_steps(self, job: Job) -> int:
        """All participants in all rounds, and the answer; a judgement is no step of the plan."""
        return len(members.of_part(job, PARTICIPANT)) * _most_rounds(job) + 1

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        count = len(members.of_part(job, PARTICIPANT))
        return _round(job, [self._first(job, place) for place in range(count)])

    def advance(self, job: Job, history: History) -> Next:
        """See `Mode.advance`."""
        rounds, total = debate_rounds.read(job, history), self.total_steps(job)
        first, last = rounds[0], rounds[-1]
        needed = members.quorum(job, len(members.of_part(job, PARTICIPANT)))
        if len(first.answers) < needed:
            return members.too_few(history, first.answers, needed, total, PARTICIPANT)
        if ANSWER in history.done:
            return _written(history, rounds, total)
        if len(first.answers) == 1:  # no other answer to debate with
            return JobAnswer(first.answers[0], total, facts=_facts(rounds, history))
        if len(last.answers) < 2:  # the debate broke up: what was said before it counts
            return self._reconcile(job, rounds, history)
        if last.agreement is None:
            return Round((self._judge(job, last, history),), members.patience(job, 1))
        unanimous = last.agreement.unanimous
        if unanimous and last.agreement.method == EXACT:
            chosen = members.chosen(last.answers, last.agreement)
            return JobAnswer(chosen, total, facts=_facts(rounds, history))
        over = unanimous or last.number == _most_rounds(job)
        if over or (len(rounds) > 1 and last.same_sides(rounds[-2])):
            return self._reconcile(job, rounds, history)
        return _round(job, [self._again(job, last, place, history) for place in last.places])

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return judging.reading(done)

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone."""
        if done.step.part != PARTICIPANT:
            return done.step.assignment
        return self._first(job, debate_rounds.place_of(done)).assignment

    def _first(self, job: Job, place: int) -> Step:
        messages = self._prompts.messages(job, DRAFT, _trajectory(job, 1))
        return _participant(job, place, 1, messages)

    def _again(self, job: Job, last: DebateRound, place: int, history: History) -> Step:
        number = last.number + 1
        own = last.answers[last.places.index(place)]
        others = [done for done in last.answers if done is not own]
        order = members.shuffled(job, number, place + 1, len(others))
        messages = self._prompts.messages(
            job,
            DEBATE,
            _trajectory(job, number),
            history.handoff,
            previous=own.handed_on,
            others=tuple(others[at].handed_on for at in order),
        )
        return _participant(job, place, number, messages)

    def _judge(self, job: Job, last: DebateRound, history: History) -> Step:
        order = members.shuffled(job, last.number, 0, len(last.answers))
        texts = [last.answers[at].handed_on for at in order]
        (judge,) = members.of_part(job, judging.PART)
        name = f"{judging.PART}-{last.number}"
        place = _trajectory(job, last.number, judging.PART)
        return judging.step(self._prompts, job, name, judge.model, texts, place, history.handoff)

    def _reconcile(self, job: Job, rounds: Sequence[DebateRound], history: History) -> Round:
        candidates = _candidates(rounds)
        order = members.shuffled(job, 0, 0, len(candidates))
        agreement = rounds[-1].agreement
        messages = self._prompts.messages(
            job,
            RECONCILE,
            _trajectory(job, _most_rounds(job) + 1, ANSWER),
            history.handoff,
            answers=tuple(candidates[at] for at in order),
            agreed=agreement.agreed if agreement else (),
            conflicts=agreement.conflicts if agreement else (),
        )
        (reconciler,) = members.of_part(job, RECONCILER)
        assignment = Assignment(messages, job.sampling)
        return Round((Step(ANSWER, RECONCILER, reconciler.model, assignment),))


def _by_roles(inputs: CastingInputs) -> list[str]:
    wanted: list[tuple[str, ...]] = [("coder",), ("thinker",), ("longctx",)]
    if inputs.task_type is not None:
        wanted.insert(0, roles_for(inputs.task_type))
    models = [inputs.lead.id]
    for roles in wanted:
        if best := inputs.best(roles, *models):
            models.append(best.id)
    if len(models) == 1:
        models += [spec.id for spec in inputs.others(*models)[:1]]
    return models


def _written(history: History, rounds: Sequence[DebateRound], total: int) -> JobAnswer | JobFailure:
    """The written answer; where it failed, the one of the largest group in any round."""
    written, facts = history.done[ANSWER], _facts(rounds, history)
    if written.usable:
        return JobAnswer(written, total, facts=facts)
    answered = [round_ for round_ in reversed(rounds) if round_.answers]
    best = max(answered, key=lambda round_: round_.score)
    chosen = members.chosen(best.answers, best.agreement)
    return fallbacks.fall_back([chosen, written], total, facts)


def _candidates(rounds: Sequence[DebateRound]) -> list[str]:
    """The last round's answers, and those of the first that nobody gives any longer."""
    texts = [done.handed_on for done in rounds[-1].answers]
    seen = {answer_kinds.plain(text) for text in texts}
    for done in rounds[0].answers:  # what was given up may have been right
        if answer_kinds.plain(done.text) not in seen:
            seen.add(answer_kinds.plain(done.text))
            texts.append(done.handed_on)
    return texts


def _facts(rounds: Sequence[DebateRound], history: History) -> dict[str, Any]:
    compared = [round_ for round_ in rounds if len(round_.answers) > 1] or rounds
    agreement = compared[-1].agreement
    return {"rounds": len(rounds), **members.facts(agreement, history, PARTICIPANT)}


def _round(job: Job, steps: Sequence[Step]) -> Round:
    return Round(tuple(steps), members.patience(job, len(steps)))


def _participant(job: Job, place: int, number: int, messages: tuple[Message, ...]) -> Step:
    participants = members.of_part(job, PARTICIPANT)
    assignment = Assignment(messages, members.sampling(job, participants, place, number))
    name = debate_rounds.step_name(place, number)
    return Step(name, PARTICIPANT, participants[place].model, assignment)


def _trajectory(job: Job, number: int, name: str | None = None) -> Trajectory:
    last = number > _most_rounds(job)
    return Trajectory(
        number,
        _most_rounds(job) + 1,
        name or f"round {number}",
        "none" if number == 1 else f"round {number - 1}",
        LAST if last else "the answers are compared",
        FORBIDDEN,
    )


def _most_rounds(job: Job) -> int:
    return int(job.bounds["max_rounds"])
