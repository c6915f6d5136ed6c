"""Mode `pipeline`: one model drafts, others work on its text in turn, the last one answers.

The last stage streams as it is made: nothing comes after it that could replace it. If it fails
before its first token, or a stage before it cannot be used, the best text so far is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.handoff import HandoffState
from orchestration.modes import fallbacks
from orchestration.modes.base import Mode
from orchestration.modes.casting import CastingInputs
from orchestration.modes.registry import register
from orchestration.modes.rounds import FinishedStep, History, JobAnswer, Next, Round, Step, logical
from orchestration.prompts import trajectory
from orchestration.prompts.template import DRAFT, Template
from orchestration.routing.roles import ANY, roles_for
from presets.preset import Preset
from workers.contract.job import CastMember, Job
from workers.contract.step import ANSWER, Assignment

_SAMPLE = {"request": "r", "previous": "p"}
REFINE = Template(
    "refine",
    """\
{{ request }}

Here is a draft of the answer:
---
{{ previous }}
---
Write the answer again, better: correct what is wrong, add what is missing, drop what does not \
belong. Give the whole improved answer and nothing else.
""",
    _SAMPLE,
    "what of the draft stays, and what is corrected, added or dropped",
)
EXPAND = Template(
    "expand",
    """\
{{ request }}

Here is a short answer:
---
{{ previous }}
---
Write it out in full: keep what is right, give reasons, details and examples. Give the whole \
answer and nothing else.
""",
    _SAMPLE,
    "which reasons, details and examples the short answer needs",
)
CODE = Template(
    "code",
    """\
{{ request }}

Here is a plan or a first version:
---
{{ previous }}
---
Write the complete, working code for the request, with what has to be known to run it. Give the \
whole answer and nothing else.
""",
    _SAMPLE,
    "how the plan becomes complete, working code",
)
VALIDATE = Template(
    "validate",
    """\
{{ request }}

Here is the answer that is about to be given:
---
{{ previous }}
---
Check it against the request. Give the final answer: unchanged where it is right, corrected where \
it is wrong. Give the answer and nothing else.
""",
    _SAMPLE,
    "whether the answer is right, and what the final answer is",
)
#: The template of each stage that a preset or the settings can name.
STAGE_TEMPLATES = {template.name: template for template in (DRAFT, REFINE, EXPAND, CODE, VALIDATE)}
#: Stage -> the roles that are asked in turn for it, where the task does not decide.
_ROLES = {
    "draft": ("fast", "primary", ANY),
    "refine": ("coder", "thinker", "primary", ANY),
    "expand": ("longctx", "thinker", "primary", ANY),
    "code": ("coder", "primary", ANY),
    "validate": ("primary", ANY),
}


@register
class Pipeline(Mode):
    """Stages, one after the other: those of the job's cast."""

    name = "pipeline"
    templates = tuple(STAGE_TEMPLATES.values())
    preset_fields = ("stages",)
    hands_on_texts = True

    @classmethod
    def lead_of(cls, preset: Preset) -> str:
        """The model of the last stage."""
        return preset.stages[-1].model if preset.stages else preset.models[-1]

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """The preset's stages, or one for each of its models; else those of the settings."""
        preset, lead = inputs.preset, inputs.lead.id
        if preset is None:
            return _by_roles(inputs)
        if preset.stages:
            return _with_lead_last([CastMember(s.stage, s.model) for s in preset.stages], lead)
        if len(preset.models) < 2:
            raise inputs.missing("a second model")
        stages = ["draft", *["refine"] * (len(preset.models) - 2), "validate"]
        cast = [CastMember(*pair) for pair in zip(stages, preset.models, strict=True)]
        return _with_lead_last(cast, lead)

    def total_steps(self, job: Job) -> int:
        """See `Mode.total_steps`."""
        return len(job.cast)

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((self._stage(job, 0, DRAFT),))

    def advance(self, job: Job, history: History) -> Next:
        """See `Mode.advance`."""
        stages = list(history.done.values())
        last, total = stages[-1], self.total_steps(job)
        if last.usable and len(stages) < total:
            template = STAGE_TEMPLATES[job.cast[len(stages)].part]
            handoff = history.handoff
            previous = handoff.compressed_context
            return Round((self._stage(job, len(stages), template, handoff, previous=previous),))
        if last.usable:
            return JobAnswer(last, total)
        return fallbacks.fall_back(stages, total)

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """The caller's request alone, in the same place of the plan."""
        number = _step_names(job).index(logical(done.step.name))
        return self._stage(job, number, DRAFT).assignment

    def _stage(
        self,
        job: Job,
        number: int,
        template: Template,
        handoff: HandoffState | None = None,
        **values: str,
    ) -> Step:
        member = job.cast[number]
        place = trajectory.describe([stage.part for stage in job.cast], number + 1)
        messages = self._prompts.messages(job, template, place, handoff, **values)
        assignment = Assignment(messages, job.sampling)
        return Step(_step_names(job)[number], member.part, member.model, assignment)


def _by_roles(inputs: CastingInputs) -> tuple[CastMember, ...]:
    """The stages of the settings, each by the model that fits it best; the lead does the last.

    A model works on another's text before on its own: it does two stages only where there are
    fewer models than stages.
    """
    lead, stages = inputs.lead.id, inputs.settings.pipeline_stages
    if not inputs.others(lead):
        raise inputs.missing("a model that drafts, beside the one that answers")
    cast: list[CastMember] = []
    taken = [lead]
    for stage in stages[:-1]:
        roles = _ROLES[stage]
        if stage == "refine" and "coder" not in roles_for(inputs.task_type):
            roles = ("thinker", "coder", "primary", ANY)
        model = inputs.best(roles, *taken)
        if model is None and cast:
            before = cast[-1].model
            model = inputs.best(roles, before, lead) or inputs.best(roles, before)
        if model is None:
            raise inputs.missing(f"a model for the stage {stage}")
        cast.append(CastMember(stage, model.id))
        taken.append(model.id)
    return (*cast, CastMember(stages[-1], lead))


def _with_lead_last(cast: Sequence[CastMember], lead: str) -> tuple[CastMember, ...]:
    """The lead does the last stage; where it had another, the two change places."""
    last = cast[-1].model
    if last == lead:
        return tuple(cast)
    before = [CastMember(m.part, last if m.model == lead else m.model) for m in cast[:-1]]
    return (*before, CastMember(cast[-1].part, lead))


def _step_names(job: Job) -> list[str]:
    """The stages' names, numbered where one comes twice; the last step is the answer."""
    stages = [stage.part for stage in job.cast]
    names = [
        f"{stage}-{stages[: at + 1].count(stage)}" if stages.count(stage) > 1 else stage
        for at, stage in enumerate(stages)
    ]
    return [*names[:-1], ANSWER]
