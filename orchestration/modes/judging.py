"""Judging: a model says which texts mean the same, in JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.modes import agreement, fallbacks
from orchestration.modes.agreement import JUDGE, Agreement, Voter
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.base import Reading
from orchestration.modes.rounds import FinishedStep, Step
from orchestration.prompts import Prompts, Trajectory
from workers.contract.job import Job, ResponseFormat, Sampling
from workers.contract.step import Assignment

PART = "judge"
#: Tokens of a judgement at most; one that goes on and on is cut off and not believed.
JUDGEMENT_TOKENS = 512
_TEXTS = {"type": "array", "maxItems": 4, "items": {"type": "string", "maxLength": 160}}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge found."""

    #: For each answer, in the order in which the judge read them, the number of its group.
    groups: tuple[int, ...]
    agreed: tuple[str, ...]
    conflicts: tuple[str, ...]

    @classmethod
    def read(cls, text: str, answers: int) -> Judgement:
        """What a judge's text says of so many answers.

        Raises:
            ValueError: it is no JSON of the schema; says why.
        """
        try:
            told = json.loads(text, strict=False)
            groups = tuple(told["groups"])
            agreed, conflicts = (tuple(map(str, told[name])) for name in ("agreed", "conflicts"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("it has not the form that was asked for") from error
        if len(groups) != answers or any(type(one) is not int for one in groups):
            raise ValueError(f"it does not put each of {answers} answers into a group")
        return cls(groups, _said(agreed), _said(conflicts))


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
    templates: Prompts, job: Job, name: str, model: str, texts: Sequence[str], told: Trajectory
) -> Step:
    """The step in which a model compares these texts."""
    sampling = Sampling(
        max_tokens=JUDGEMENT_TOKENS,
        temperature=0.0,
        seed=job.sampling.seed,
        response_format=ResponseFormat("json_schema", schema(len(texts))),
    )
    messages = templates.messages(job, "judge", told, answers=tuple(texts))
    return Step(name, PART, model, Assignment(messages, sampling))


def judged(voters: Sequence[Voter], order: Sequence[int], judge: FinishedStep) -> Agreement:
    """How far these answers agree by a judge who read them in this order."""
    if not judge.usable:
        return agreement.unknown(voters, f"nobody judged: {fallbacks.reason(judge).message}")
    if judge.outcome.finish_reason == "length":
        return agreement.unknown(voters, "the judgement was cut off")
    try:
        found = Judgement.read(judge.text, len(voters))
    except ValueError as error:
        return agreement.unknown(voters, f"the judgement is unusable: {error}")
    group_of = dict(zip(order, found.groups, strict=True))
    clusters = agreement.cluster([group_of[at] for at in range(len(voters))])
    return Agreement(JUDGE, Kind.TEXT, tuple(voters), clusters, found.agreed, found.conflicts)


def reading(done: FinishedStep) -> Reading:
    """What a judgement says, for those who watch."""
    try:
        found = json.loads(done.text)
    except (ValueError, RecursionError):
        return Reading({"problem": "it is no JSON"}, judges=True)
    return Reading({"judgement": found}, judges=True)


def _said(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts if text.strip())
