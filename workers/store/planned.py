"""Steps as they are written into a job's record: what to run, and what follows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.step import Assignment, StepRequest


@dataclass(frozen=True, slots=True)
class Patience:
    """How long steps that run at once are waited for."""

    #: So many must have said something; then the others have `grace_s` left.
    quorum: int
    grace_s: float
    #: Seconds after which those that have not ended are given up in any case.
    timeout_s: float


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step and the Celery signature that runs it, as the keeper would send it again."""

    request: StepRequest
    signature: Mapping[str, Any]
    #: What it is to decode; None: what the job's caller sent.
    assignment: Assignment | None = None
    #: The step that follows once this one and its like have ended; None: none does.
    then: str | None = None
    #: How many steps it follows itself; such a step waits for their end, not for a worker.
    follows: int = 0
    #: Milliseconds until it is to run.
    delay_ms: int = 0
    #: Tokens it is expected to take: what it adds to its model's queued tokens until it ends.
    tokens: int = 0
    #: How long those that it follows are waited for; None: until they end.
    patience: Patience | None = None


def step_arguments(steps: Iterable[PlannedStep]) -> list[Any]:
    """What a script is given that adds steps (`lua/add_steps.lua`)."""
    arguments: list[Any] = []
    for step in steps:
        request = step.request
        arguments += [
            request.step,
            request.model,
            request.part,
            dump(step.signature),
            dump(step.assignment.to_dict()) if step.assignment else "",
            step.then or "",
            step.follows,
            step.delay_ms,
            step.tokens,
            *_patience(step.patience),
        ]
    return arguments


def _patience(patience: Patience | None) -> tuple[int, int, int]:
    if patience is None:
        return 0, 0, 0
    timeout_ms = max(1, round(patience.timeout_s * 1000))
    return patience.quorum, round(patience.grace_s * 1000), timeout_ms


def dump(value: Any) -> bytes:
    """Compact JSON; a lone surrogate, which no text of Redis can hold, is replaced."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")
