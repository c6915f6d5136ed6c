"""Rounds: steps that run at once, and ending one of them so that the others go on without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import InferenceError
from workers.contract.events import StepFinished, Token
from workers.contract.step import Outcome, StepState, Timings, Usage
from workers.store.records import StepRecord, step_record
from workers.store.token_log import Entry, append, read_events


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """Steps that run at once and are not waited for without end."""

    #: Those that have not ended.
    left: tuple[StepRecord, ...]
    #: How many have said something, and how many of them are enough.
    answered: int
    quorum: int
    #: Seconds the others have after that, and all of them in any case.
    grace_s: float
    timeout_s: float


def read(redis: Redis, job_id: str, deciding: str) -> RoundRecord | None:
    """The round after which this step decides; None where there is no such job."""
    raw: Any = redis.hgetall(keys.job(job_id))
    fields: dict[str, bytes] = {name.decode(): value for name, value in raw.items()}
    return _round_record(deciding, fields) if fields else None


def end_optional_step(redis: Redis, job_id: str, name: str, error: InferenceError) -> bool:
    """End a step with this error, where its job can do without it; False where it cannot.

    Raises:
        redis.RedisError: Redis is away; repeated, it ends the step once.
    """
    deciding: Any = redis.hget(keys.job(job_id), f"{name}:then")
    round_ = read(redis, job_id, deciding.decode()) if deciding else None
    if round_ is None or not round_.timeout_s:
        return False
    for step in round_.left:
        if step.step == name:
            end_step(redis, job_id, step, error, "error")
            if len(round_.left) == 1:
                send_deciding(redis, keys.lease_member(job_id, deciding.decode()))
    return True


def end_step(
    redis: Redis, job_id: str, step: StepRecord, error: InferenceError, reason: str
) -> None:
    """End a step for its worker; nothing happens where it has ended by itself."""
    produced = sum(
        len(event.token_ids)
        for event in read_events(redis, job_id)
        if isinstance(event, Token) and event.step == step.step
    )
    outcome = Outcome(
        step=step.step,
        model=step.model,
        attempt=step.attempt,
        finish_reason=reason,
        usage=Usage(0, produced),  # its worker alone knows how long the prompt was
        timings=Timings(),
        context_length=0,
        error=error.to_dict(),
    )
    ending = Entry(job_id, StepFinished(0, outcome), step.step, attempt=None, outcome=outcome)
    append(redis, [ending])


def send_deciding(redis: Redis, member: str) -> None:
    """Let the step that follows be sent from its record: Celery's count lacks who was ended."""
    redis.zadd(keys.RESEND, {member: 0}, nx=True)


def _round_record(deciding: str, fields: Mapping[str, bytes]) -> RoundRecord:
    """The round after which this step decides, in the fields of its job's hash."""
    steps = (step_record(step, fields) for step in fields["steps"].decode().split())

    def number(name: str) -> int:
        return int(fields.get(f"{deciding}:{name}", 0))

    return RoundRecord(
        left=tuple(
            step for step in steps if step.then == deciding and step.state is not StepState.DONE
        ),
        answered=number("answered"),
        quorum=number("quorum"),
        grace_s=number("grace_ms") / 1000,
        timeout_s=number("timeout_ms") / 1000,
    )
