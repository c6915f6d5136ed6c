"""Judging: a model says which texts mean the same, in JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.handoff import HandoffState, Settled
from orchestration.modes import agreement, fallbacks
from orchestration.modes.agreement import JUDGE, Agreement, Voter
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.base import Reading
from orchestration.modes.casting import CastingInputs
from orchestration.modes.rounds import FinishedStep, Step
from orchestration.prompts.rendering import Prompts
from orchestration.prompts.template import Template
from orchestration.prompts.trajectory import Trajectory
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import CastMember, Job
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment

PART = "judge"
#: Tokens of a judgement at most; one that goes on and on is cut off and not believed.
JUDGEMENT_TOKENS = 512
_TEXTS = {"type": "array", "maxItems": 4, "items": {"type": "string", "maxLength": 160}}
TEMPLATE = Template(
    "judge",
    """\
A user asked:
---
{{ request }}
---
These answers were given:
{% for answer in answers %}
--- answer {{ loop.index }}
{{ answer }}
{% endfor %}
---
Which of them say the same? Return JSON: groups has one number for each answer in its order, the \
same number for answers that mean the same whatever their words, another for those that \
contradict them; agreed lists statements that all of them make; conflicts lists statements in \
which they contradict each other.
""",
    {"request": "r", "answers": ("a",)},
    "which answers say the same",
)


@dataclass(frozen=True, slots=True)
class AnswerGroups:
    """Which answers say the same, as a judge has it."""

    #: For each answer, in the order in which the judge read them, the number of its group.
    groups: tuple[int, ...]
    agreed: tuple[str, ...]
    conflicts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, answers: int | None = None) -> AnswerGroups:
        """What a judge's text says of so many answers, or of however many it was about.

        Raises:
            ValueError: it is no JSON of the schema; says why.
        """
        try:
            data = json.loads(text, strict=False)
            groups = tuple(data["groups"])
            agreed, conflicts = (tuple(map(str, data[name])) for name in ("agreed", "conflicts"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("it has not the form that was asked for") from error
        answers = len(groups) if answers is None else answers
        if len(groups) != answers or any(type(group) is not int for group in groups):
            raise ValueError(f"it does not put each of {answers} answers into a group")
        return cls(groups, _without_empty(agreed), _without_empty(conflicts))


def member(inputs: CastingInputs) -> CastMember:
    """Who judges: whom the settings name, else the model that writes the answer.

    Raises:
        NotEnoughModels: the settings name a model that is not configured.
    """
    wanted = inputs.settings.judge_model
    model = inputs.lead if wanted is None else inputs.configured_model(wanted)
    return CastMember(PART, model.id)


def schema(answers: int) -> dict[str, Any]:
    """The form of a judgement of so many answers: each one's group, then what it is about."""
    group = {"enum": list(range(1, answers + 1))}
    groups = {"type": "array", "minItems": answers, "maxItems": answers, "items": group}
    return {
        "type": "object",
        "properties": {"groups": groups, "agreed": _TEXTS, "conflicts": _TEXTS},
        "required": ["groups", "agreed", "conflicts"],
        "additionalProperties": False,
    }


def step(
    prompts: Prompts,
    job: Job,
    name: str,
    model: str,
    texts: Sequence[str],
    place: Trajectory,
    handoff: HandoffState,
) -> Step:
    """The step in which a model compares these texts."""
    sampling = Sampling(
        max_tokens=JUDGEMENT_TOKENS,
        temperature=0.0,
        seed=job.sampling.seed,
        constraint=Constraint(ConstraintKind.JSON_SCHEMA, schema(len(texts))),
    )
    messages = prompts.messages(job, TEMPLATE, place, handoff, answers=tuple(texts))
    return Step(name, PART, model, Assignment(messages, sampling))


def judged(voters: Sequence[Voter], order: Sequence[int], judge: FinishedStep) -> Agreement:
    """How far these answers agree by a judge who read them in this order."""
    if not judge.usable:
        return agreement.unknown(voters, f"nobody judged: {fallbacks.reason(judge).message}")
    if judge.outcome.finish_reason == "length":
        return agreement.unknown(voters, "the judgement was cut off")
    try:
        answers = AnswerGroups.parse(judge.text, len(voters))
    except ValueError as error:
        return agreement.unknown(voters, f"the judgement is unusable: {error}")
    group_of = dict(zip(order, answers.groups, strict=True))
    clusters = agreement.cluster([group_of[at] for at in range(len(voters))])
    return Agreement(JUDGE, Kind.TEXT, tuple(voters), clusters, answers.agreed, answers.conflicts)


def reading(done: FinishedStep) -> Reading:
    """What a judgement says, for those who watch; of any other step nothing."""
    if done.step.part != PART:
        return Reading()
    try:
        judgement = json.loads(done.text)
    except (ValueError, RecursionError):
        return Reading({"problem": "it is no JSON"}, judges=True)
    return Reading({"judgement": judgement}, settled=_settled(done), judges=True)


def _settled(done: FinishedStep) -> Settled:
    """What all answers agree in is settled, what they contradict each other in is open."""
    try:
        answers = AnswerGroups.parse(done.text)
    except ValueError:
        return Settled()
    return Settled(answers.agreed, open_questions=answers.conflicts)


def _without_empty(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts if text.strip())
