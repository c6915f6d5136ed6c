"""Mode `critique`: one model answers, another judges, the first revises.

A round is one critique and one revision; a critique that cannot be used is a round, too, and ends
the job. Every revision is judged, the last one as well, since only a judged one can replace what
was there. Everything is held back until it is accepted. The draft stays where a revision is empty,
cut off, worse by the critic's own score, or contradicts by the critic's word what was settled
before, and where the critic cannot judge.
"""

from __future__ import annotations

from typing import Any

from orchestration.handoff import Settled
from orchestration.modes import critique_verdict, fallbacks
from orchestration.modes.base import Bounds, Mode, Reading
from orchestration.modes.casting import CastingInputs
from orchestration.modes.critique_verdict import NO_CHANGE, SCHEMA, CritiqueVerdict
from orchestration.modes.registry import register
from orchestration.modes.rounds import FinishedStep, History, JobAnswer, Next, Round, Step
from orchestration.prompts.template import DRAFT, Template
from orchestration.prompts.trajectory import Trajectory
from orchestration.routing.roles import ANY
from presets.preset import Preset
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import CastMember, Job
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment
from workers.settings import Settings

GENERATOR, CRITIC = "generator", "critic"
#: Tokens of a critique at most: enough for some defects with quotes; a critic that goes on and on
#: is cut off and not believed.
CRITIQUE_TOKENS = 512
#: The roles that are asked in turn for a critic.
_CRITIC_ROLES = ("thinker", "primary", ANY)
CRITIQUE = Template(
    "critique",
    """\
A user asked:
---
{{ request }}
---
This answer was written:
---
{{ previous }}
---
{% if decisions %}
Settled before:
{% for decision in decisions %}
- {{ decision }}
{% endfor %}
{% endif %}
Judge the answer. Return JSON: verdict is "no change" if it is right and complete, else "revise"; \
score says from 0 to 1 how good it is; defects lists concrete mistakes, each with the problem and \
a quote from the answer that shows it; contradictions lists what was settled before and is \
contradicted by the answer; decisions lists what the answer settles and is right, each in one \
short sentence.
""",
    {"request": "r", "previous": "p", "decisions": ("d",)},
    "whether the answer is good enough, and what is wrong with it",
)
REVISE = Template(
    "revise",
    """\
{{ request }}

Here is an answer:
---
{{ previous }}
---
A reviewer found:
{% for defect in defects %}
- {{ defect.problem }}{% if defect.quote %} ("{{ defect.quote }}"){% endif %}

{% else %}
- It is not good enough yet.
{% endfor %}
Write the answer again without these mistakes. Give the whole answer and nothing else.
""",
    {"request": "r", "previous": "p", "defects": ({"problem": "p", "quote": "q"},)},
    "how the answer becomes right",
)


@register
class Critique(Mode):
    """Draft, then rounds of one critique and one revision."""

    name = "critique"
    templates = (DRAFT, CRITIQUE, REVISE)
    preset_fields = ("generator", "critic")

    @classmethod
    def lead_of(cls, preset: Preset) -> str:
        """The generator."""
        return preset.generator or preset.models[0]

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """The lead generates; the preset's other model judges, else the one that fits best."""
        generator, preset = inputs.lead.id, inputs.preset
        named = [preset.critic, preset.generator] if preset is not None else []
        critic = next((model for model in named if model not in (None, generator)), None)
        if critic is None:
            best = inputs.best(_CRITIC_ROLES, generator)
            critic = None if best is None else best.id
        if critic is None:
            raise inputs.missing("a critic beside the model that answers")
        return (CastMember(GENERATOR, generator), CastMember(CRITIC, critic))

    @classmethod
    def bounds(cls, settings: Settings, preset: Preset | None) -> Bounds:
        """See `Mode.bounds`."""
        return {
            "critique_max_rounds": settings.critique_max_rounds,
            "critique_threshold": settings.critique_threshold,
        }

    def total_steps(self, job: Job) -> int:
        """Draft, its critique, and as many revisions with theirs as may be."""
        return 2 + 2 * _rounds(job)

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((self._draft(job),))

    def advance(self, job: Job, history: History) -> Next:
        """See `Mode.advance`."""
        texts, critiques = history.of_part(GENERATOR), history.of_part(CRITIC)
        if not texts[0].usable:
            return fallbacks.fall_back(texts[:1], self.total_steps(job))
        last = texts[-1]
        # What is not whole replaces nothing: its critic would not see that it was cut off.
        replaces = last.usable and (len(texts) == 1 or last.outcome.finish_reason != "length")
        if len(critiques) < len(texts) and replaces:
            return Round((self._critique(job, last, len(critiques) + 1, history),))
        verdicts = [critique_verdict.read(done) for done in critiques]
        latest = verdicts[-1] if verdicts else None
        accepted, score = _accept(texts, verdicts)
        if not replaces:
            note = f"{last.step.name} was {_why_not(last)}"
        elif latest is None or isinstance(latest, str):
            note = f"the critique is unusable: {latest}"
        elif accepted is not last:
            note = f"{last.step.name} was not better"
        elif _good_enough(job, latest) or len(texts) > _rounds(job):
            note = ""
        else:
            return Round((self._revision(job, last, latest, len(texts), history),))
        facts: dict[str, Any] = {"rounds": _rounds_run(job, texts, latest)}
        if score is not None:
            facts["confidence"] = score
        if note:
            facts["note"] = note
        return JobAnswer(accepted, self.total_steps(job), facts=facts)

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        if done.step.part != CRITIC:
            return Reading()
        verdict = critique_verdict.read(done)
        if isinstance(verdict, str):
            return Reading({"problem": verdict}, judges=True)
        return Reading(
            {
                "score": verdict.score,
                "verdict": verdict.verdict,
                "defects": list(verdict.defects),
                "contradictions": list(verdict.contradictions),
                "decisions": list(verdict.decisions),
            },
            errors=(
                *(defect["problem"] for defect in verdict.defects),
                *(f"contradicts: {decision}" for decision in verdict.contradictions),
            ),
            settled=Settled(
                decisions=verdict.decisions,
                evidence=tuple(defect["quote"] for defect in verdict.defects if defect["quote"]),
            ),
            judges=True,
        )

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone."""
        return self._draft(job).assignment

    def _draft(self, job: Job) -> Step:
        place = Trajectory(1, self.total_steps(job), "draft", "none", "critique")
        messages = self._prompts.messages(job, DRAFT, place)
        return _generator_step(job, "draft", Assignment(messages, job.sampling))

    def _revision(
        self,
        job: Job,
        text: FinishedStep,
        verdict: CritiqueVerdict,
        number: int,
        history: History,
    ) -> Step:
        place = Trajectory(1 + 2 * number, self.total_steps(job), "revise", "critique", "critique")
        messages = self._prompts.messages(
            job, REVISE, place, history.handoff, previous=text.handed_on, defects=verdict.defects
        )
        return _generator_step(job, f"revision-{number}", Assignment(messages, job.sampling))

    def _critique(self, job: Job, text: FinishedStep, number: int, history: History) -> Step:
        place = Trajectory(2 * number, self.total_steps(job), "critique", text.step.name, "revise")
        handoff = history.handoff
        messages = self._prompts.messages(
            job, CRITIQUE, place, handoff, previous=text.handed_on, decisions=handoff.decisions_made
        )
        sampling = Sampling(
            max_tokens=CRITIQUE_TOKENS,
            temperature=0.0,
            seed=job.sampling.seed,
            constraint=Constraint(ConstraintKind.JSON_SCHEMA, SCHEMA),
        )
        assignment = Assignment(messages, sampling)
        return Step(f"critique-{number}", CRITIC, _model(job, CRITIC), assignment)


def _generator_step(job: Job, name: str, assignment: Assignment) -> Step:
    return Step(name, GENERATOR, _model(job, GENERATOR), assignment)


def _accept(
    texts: list[FinishedStep], verdicts: list[CritiqueVerdict | str]
) -> tuple[FinishedStep, float | None]:
    """The text that stands after these critiques, and its score; the draft where none is better."""
    accepted, best = texts[0], None
    for text, verdict in zip(texts, verdicts, strict=False):
        if isinstance(verdict, str) or (text is not texts[0] and verdict.contradictions):
            continue
        if best is None or verdict.score >= best:
            accepted, best = text, verdict.score
    return accepted, best


def _rounds_run(job: Job, texts: list[FinishedStep], latest: CritiqueVerdict | str | None) -> int:
    """Rounds that ran: each that revised, and one whose critique could not be used."""
    unusable = isinstance(latest, str)
    # The critique after the last revision only scores it.
    return min(len(texts) - 1 + unusable, _rounds(job))


def _good_enough(job: Job, verdict: CritiqueVerdict) -> bool:
    threshold = float(job.bounds["critique_threshold"])
    return verdict.verdict == NO_CHANGE or verdict.score >= threshold


def _why_not(done: FinishedStep) -> str:
    if done.error is not None:
        return f"not made: {done.error.message}"
    if done.problem is not None:
        return f"put aside: {done.problem}"
    return "empty" if not done.text.strip() else "cut off"


def _model(job: Job, part: str) -> str:
    return next(member.model for member in job.cast if member.part == part)


def _rounds(job: Job) -> int:
    return int(job.bounds["critique_max_rounds"])
