"""Steps that no mode plans: the fast model reads a text before the next step goes on from it. Pure.

Each is a step on its model's queue like any other, so its cost is in the job's steps. One that
fails, or says what cannot be used, changes nothing: the text is handed on as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestration.handoff import goal
from orchestration.modes import fallbacks
from orchestration.modes.rounds import FinishedStep, Step
from orchestration.prompts.rendering import Prompts
from orchestration.prompts.template import Template
from presets.model import ModelSpec
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import Job, Message
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment
from workers.settings import Settings
from workers.store.planned import Patience

#: Characters of the request that a reader is shown whole; of a longer one the goal is enough.
LONGEST_REQUEST = 4000
#: Tokens of what a reader says; one that goes on and on is cut off and not believed.
READING_TOKENS = 768
#: Names of the job's bounds.
FAST_MODEL, TIMEOUT_S = "fast_model", "reading_timeout_s"
_SYSTEM = "You read texts with care. You say in JSON what is asked of you, and nothing else."


class Unreadable(ValueError):
    """What a reader said cannot be used; the message says why."""

    def __init__(self, why: str = "it has not the form that was asked for") -> None:
        super().__init__(why)


def bounds(settings: Settings, candidates: Iterable[ModelSpec]) -> dict[str, float | str]:
    """What a job keeps: who reads, the first of these models, and how long it is waited for."""
    first = next(iter(candidates), None)
    reader = {} if first is None else {FAST_MODEL: first.id}
    return {TIMEOUT_S: settings.member_timeout_s, **reader}


def name(part: str, source: FinishedStep) -> str:
    """The name of the step that reads what this one said: `extract-draft`, `extract-draft-2`."""
    return f"{part}-{source.step.name.replace('.', '-')}"


def step(
    prompts: Prompts,
    job: Job,
    part: str,
    source: FinishedStep,
    template: Template,
    schema: Mapping[str, Any],
    *,
    suffix: str = "",
    max_tokens: int = READING_TOKENS,
    temperature: float = 0.0,
    reusable: bool = False,
    **values: Any,
) -> Step:
    """The step in which the fast model, or the step's own, reads a text by this schema.

    The text is `source`'s, unless `values` has another; `suffix` is added to the step's name.
    `reusable`: what was made of the same text before will do.
    """
    values = {"request": request(job), "text": source.text, **values}
    messages = (Message("system", _SYSTEM), Message("user", prompts.render(template, values)))
    sampling = Sampling(
        max_tokens=max_tokens,
        temperature=temperature,
        seed=job.sampling.seed,
        constraint=Constraint(ConstraintKind.JSON_SCHEMA, dict(schema)),
    )
    model = reader_of(job, source)
    return Step(
        f"{name(part, source)}{suffix}", part, model, Assignment(messages, sampling, reusable)
    )


def reader_of(job: Job, source: FinishedStep) -> str:
    """The model that reads a text: the fast one, else the text's own."""
    return str(job.bounds.get(FAST_MODEL, source.step.model))


def patience(job: Job, steps: int) -> Patience | None:
    """How long so many readers are waited for; jobs of the version before say nothing of it."""
    timeout_s = job.bounds.get(TIMEOUT_S)
    return None if timeout_s is None else Patience(steps, 0.0, float(timeout_s))


def said(done: FinishedStep) -> Any:
    """The JSON that a reader says.

    Raises:
        Unreadable: it failed, was cut off, or said none.
    """
    if not done.usable:
        raise Unreadable(fallbacks.reason(done).message)
    if done.outcome.finish_reason == "length":
        raise Unreadable("it was cut off")
    try:
        return json.loads(done.text, strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable from error


def request(job: Job) -> str:
    """What a reader is shown of the caller's request."""
    users = (turn.content or "" for turn in reversed(job.messages) if turn.role == "user")
    whole = next(users, "")
    return whole if len(whole) <= LONGEST_REQUEST else goal(job)
