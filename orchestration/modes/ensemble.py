"""Mode `ensemble`: models answer at once, their answers are compared, and one writes what follows.

The prompt of the synthesis says what the answers agree in and where they contradict each other; it
streams live. Where all said the very same there is nothing to write. Without a synthesiser, which
is self-consistency, the vote alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestration.modes import fallbacks, judging, members
from orchestration.modes.agreement import EXACT, Agreement
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.base import Bounds, Mode, Reading
from orchestration.modes.casting import CastingInputs
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
from orchestration.routing.roles import ANY, ranked, roles_for
from presets.model import ModelSpec
from presets.preset import Preset
from workers.contract.errors import OrchestrationFailed
from workers.contract.job import CastMember, Job
from workers.contract.step import ANSWER, Assignment
from workers.settings import Settings

MEMBER, SYNTHESISER = "member", "synthesiser"
#: What an ensemble that does not agree does.
ON_DISSENT_FAIL = "fail"
SYNTHESISE = Template(
    "synthesise",
    """\
{{ request }}

Several answers to this were given:
{% for answer in answers %}
--- answer {{ loop.index }}
{{ answer }}
{% endfor %}
---
{% if votes %}
How many gave which answer:
{% for vote in votes %}
- {{ vote.count }}: {{ vote.answer }}
{% endfor %}
{% endif %}
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
Write the one answer to the request: keep what they agree in, and decide with a reason where they \
differ.{% if dissents %} They do not agree: say so in the answer.{% endif %} Give that answer and \
nothing else.
""",
    {
        "request": "r",
        "answers": ("a",),
        "votes": ({"answer": "a", "count": 2},),
        "agreed": ("a",),
        "conflicts": ("c",),
        "dissents": True,
    },
    "what is right where the answers differ",
)


@register
class Ensemble(Mode):
    """One round of all members, a judge where one is needed, and the answer."""

    name = "ensemble"
    templates = (DRAFT, judging.TEMPLATE, SYNTHESISE)
    preset_fields = ("synthesiser", "members", "temperature")

    @classmethod
    def lead_of(cls, preset: Preset) -> str:
        """The synthesiser."""
        return preset.synthesiser or preset.models[0]

    @classmethod
    def leader(cls, inputs: CastingInputs) -> ModelSpec:
        """Who writes: the named model, else the preset's synthesiser, else the settings' one."""
        preset = inputs.preset
        wanted = cls.lead_of(preset) if preset else inputs.settings.ensemble_synthesis_model
        return inputs.writer(wanted)

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """Every model of the preset; else every one that is configured, those that fit first.

        One model that answers several times needs no synthesiser: the vote decides.
        """
        lead, preset = inputs.lead, inputs.preset
        if preset is not None:
            first = [lead.id] if lead.id in preset.models else []
            models = members.in_turn(preset, [*first, *preset.models])
        else:
            others = ranked(inputs.others(lead.id), (*roles_for(inputs.task_type), ANY))
            models = [lead.id, *(spec.id for spec in others)]
        if len(models) < 2:
            raise inputs.missing("a second model that answers")
        cast = [CastMember(MEMBER, model) for model in models]
        if preset is None or preset.members is None or preset.synthesiser is not None:
            cast.append(CastMember(SYNTHESISER, lead.id))
        return (*cast, judging.member(inputs))

    @classmethod
    def bounds(cls, settings: Settings, preset: Preset | None) -> Bounds:
        """See `Mode.bounds`."""
        return {
            **members.bounds(settings, preset),
            "min_agreement": settings.ensemble_min_agreement,
            "on_dissent": settings.ensemble_on_dissent,
        }

    def total_steps(self, job: Job) -> int:
        """All members, and the synthesis; a judgement is no step of the plan."""
        return len(members.of_part(job, MEMBER, SYNTHESISER))

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        count = len(members.of_part(job, MEMBER))
        steps = tuple(self._member(job, place) for place in range(count))
        return Round(steps, members.patience(job, count))

    def advance(self, job: Job, history: History) -> Next:
        """See `Mode.advance`."""
        answered = [done for done in history.of_part(MEMBER) if done.usable]
        total = self.total_steps(job)
        needed = members.quorum(job, len(members.of_part(job, MEMBER)))
        if len(answered) < needed:
            return members.too_few(history, answered, needed, total, MEMBER)
        agreement = members.compared(job, answered, 1, history.done.get(judging.PART))
        if agreement is None:
            judge = self._judge(job, answered, history)
            return Round((judge,), members.patience(job, 1))
        facts = _facts(job, agreement, history)
        if ANSWER in history.done:
            written = history.done[ANSWER]
            if written.usable:
                return JobAnswer(written, total, facts=facts)
            candidates = [members.chosen(answered, agreement), written]
            return fallbacks.fall_back(candidates, total, facts)
        if _dissents(job, agreement) and job.bounds["on_dissent"] == ON_DISSENT_FAIL:
            return JobFailure(_dissent(job, agreement))
        settled = len(answered) == 1 or (agreement.unanimous and agreement.method == EXACT)
        synthesiser = members.of_part(job, SYNTHESISER)
        if settled or not synthesiser:
            return JobAnswer(members.chosen(answered, agreement), total, facts=facts)
        writer = synthesiser[0].model
        return Round((self._synthesis(job, writer, answered, agreement, history),))

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        return judging.reading(done)

    def _member(self, job: Job, place: int) -> Step:
        cast = members.of_part(job, MEMBER)
        messages = self._prompts.messages(job, DRAFT, _trajectory(1, "draft"))
        assignment = Assignment(messages, members.sampling(job, cast, place))
        return Step(f"{MEMBER}-{place + 1}", MEMBER, cast[place].model, assignment)

    def _judge(self, job: Job, answered: Sequence[FinishedStep], history: History) -> Step:
        order = members.shuffled(job, 1, 0, len(answered))
        texts = [answered[at].handed_on for at in order]
        (judge,) = members.of_part(job, judging.PART)
        place = _trajectory(1, judging.PART)
        return judging.step(
            self._prompts, job, judging.PART, judge.model, texts, place, history.handoff
        )

    def _synthesis(
        self,
        job: Job,
        model: str,
        answered: Sequence[FinishedStep],
        agreement: Agreement,
        history: History,
    ) -> Step:
        order = members.shuffled(job, 2, 0, len(answered))
        messages = self._prompts.messages(
            job,
            SYNTHESISE,
            _trajectory(2, ANSWER),
            history.handoff,
            answers=tuple(answered[at].handed_on for at in order),
            votes=_votes(agreement),
            agreed=agreement.agreed,
            conflicts=agreement.conflicts,
            dissents=_dissents(job, agreement),
        )
        return Step(ANSWER, SYNTHESISER, model, Assignment(messages, job.sampling))


def _facts(job: Job, agreement: Agreement, history: History) -> dict[str, Any]:
    facts: dict[str, Any] = {"rounds": 1, **members.facts(agreement, history, MEMBER)}
    if _dissents(job, agreement):
        facts["note"] = _dissent(job, agreement).message
    return facts


def _dissents(job: Job, agreement: Agreement) -> bool:
    score = agreement.score
    return score is not None and score < float(job.bounds["min_agreement"])


def _dissent(job: Job, agreement: Agreement) -> OrchestrationFailed:
    least = float(job.bounds["min_agreement"])
    return OrchestrationFailed(
        f"The models do not agree: {len(agreement.leaders)} of {len(agreement.voters)} say the "
        f"same ({agreement.score:g}), and {least:g} is asked for "
        "(INFERENCE_ENSEMBLE_MIN_AGREEMENT).",
        details={"agreement": agreement.to_dict()},
    )


def _votes(agreement: Agreement) -> tuple[dict[str, Any], ...]:
    """How many said what, where that is short enough for a prompt."""
    if agreement.kind in (Kind.TEXT, Kind.JSON):
        return ()
    clusters = agreement.to_dict()["clusters"]
    return tuple({"answer": group["answer"], "count": len(group["steps"])} for group in clusters)


def _trajectory(number: int, name: str) -> Trajectory:
    previous = "none" if number == 1 else "draft"
    after = LAST if number == 2 else "the answers are compared"
    return Trajectory(number, 2, name, previous, after, FORBIDDEN)
