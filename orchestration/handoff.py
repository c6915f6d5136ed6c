"""The handoff: what one round tells the next, beside the texts themselves.

It is kept in Redis for an hour under the job's id and the round's number, for whoever looks into a
running job, and each round begins from what the one before it wrote.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import HandoffStateInvalid
from workers.contract.job import Job

#: Characters of the request that are told as the goal.
LONGEST_GOAL = 600
#: Decisions, errors and references that are kept, the latest ones.
MOST_ENTRIES = 32


@dataclass(frozen=True, slots=True)
class HandoffState:
    """What is known when a round begins. All texts are plain."""

    #: The job's id.
    request_id: str
    goal: str
    #: Steps that were accepted so far, and those of the whole plan.
    current_step: int
    total_steps: int
    #: What the caller demands of every answer.
    constraints: tuple[str, ...]
    #: What was settled, in order: `<step> by <model>: <how it begins>`.
    decisions_made: tuple[str, ...] = ()
    #: Quotes on which a decision or a critique rests.
    evidence_refs: tuple[str, ...] = ()
    active_errors: tuple[str, ...] = ()
    resolved_errors: tuple[str, ...] = ()
    #: The text that the next step works on.
    compressed_context: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> HandoffState:
        """Rebuild a state.

        Raises:
            HandoffStateInvalid: a field is missing or of another type; names it.
        """
        if not isinstance(data, Mapping):
            raise HandoffStateInvalid("The state between two steps is no object.")
        found: dict[str, Any] = {}
        for one in dataclasses.fields(cls):
            if one.name not in data:
                raise HandoffStateInvalid(
                    f"The state between two steps has no {one.name}.", details={"field": one.name}
                )
            found[one.name] = _checked(one.name, str(one.type), data[one.name])
        return cls(**found)

    def accepted(self, decision: str, text: str) -> HandoffState:
        """The state once a step's text was taken: what was wrong before it is resolved."""
        return dataclasses.replace(
            self,
            current_step=self.current_step + 1,
            decisions_made=_last((*self.decisions_made, decision)),
            resolved_errors=_last((*self.resolved_errors, *self.active_errors)),
            active_errors=(),
            compressed_context=text,
        )

    def with_errors(self, errors: tuple[str, ...], evidence: tuple[str, ...] = ()) -> HandoffState:
        """The state with some more that is wrong, and what shows it."""
        return dataclasses.replace(
            self,
            active_errors=_last((*self.active_errors, *errors)),
            evidence_refs=_last((*self.evidence_refs, *evidence)),
        )


def begin(job: Job, total_steps: int) -> HandoffState:
    """The state before the first round."""
    constraints = [turn.content for turn in job.messages if turn.role == "system" and turn.content]
    if job.sampling.response_format is not None:
        constraints.append(f"The answer is JSON ({job.sampling.response_format.type}).")
    return HandoffState(
        request_id=job.id,
        goal=goal(job),
        current_step=0,
        total_steps=total_steps,
        constraints=tuple(constraints),
    )


def goal(job: Job) -> str:
    """What the caller wants, in at most `LONGEST_GOAL` characters."""
    asked = next((turn.content or "" for turn in reversed(job.messages) if turn.role == "user"), "")
    return asked if len(asked) <= LONGEST_GOAL else f"{asked[:LONGEST_GOAL]} [...]"


def load(redis: Redis, job_id: str, round_: int) -> HandoffState | None:
    """What this round handed on; None where it is no longer kept.

    Raises:
        HandoffStateInvalid: it is not whole.
        redis.RedisError: Redis is away.
    """
    raw: Any = redis.get(keys.handoff(job_id, round_))
    if raw is None:
        return None
    try:
        return HandoffState.from_dict(json.loads(raw))
    except ValueError as error:
        raise HandoffStateInvalid("The state between two steps is no JSON.") from error


def save(redis: Redis, state: HandoffState, round_: int) -> None:
    """Hand on what this round found; repeated, it does nothing more.

    Raises:
        redis.RedisError: Redis is away.
    """
    text = json.dumps(state.to_dict(), ensure_ascii=False).encode(errors="replace")
    redis.set(keys.handoff(state.request_id, round_), text, ex=keys.HANDOFF_TTL_S)


def _last(entries: tuple[str, ...]) -> tuple[str, ...]:
    return entries[-MOST_ENTRIES:]


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
    elif isinstance(value, int if kind == "int" else str):
        return value
    raise HandoffStateInvalid(
        f"The state between two steps has a wrong {name}.", details={"field": name}
    )
