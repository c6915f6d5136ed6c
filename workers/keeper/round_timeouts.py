"""A round has a time limit: a step that is too late is ended, and the others go on without it."""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import InferenceError, RequestTimeout
from workers.contract.events import StepFinished, Token
from workers.contract.step import LATE, Outcome, Timings, Usage
from workers.store.connections import redis_time_ms
from workers.store.leases import MERCY_S
from workers.store.records import RoundRecord, StepRecord, round_record
from workers.store.token_log import Entry, append, read_events

log = logging.getLogger(__name__)

#: Rounds looked at in one sweep at most; the rest follows in the next.
BATCH = 64


class RoundTimeouts:
    """A duty of the keeper: ends steps of a round whose time is over."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._judge_from = 0.0

    def begin(self) -> None:
        """Judge nobody for a while: Redis or the keeper was away, and nobody could write."""
        self._judge_from = time.monotonic() + MERCY_S

    def sweep(self) -> None:
        """End what is late; a worker that decodes for it stops, what it writes is refused."""
        if time.monotonic() < self._judge_from:
            return
        now_ms = redis_time_ms(self._redis)
        due: Any = self._redis.zrangebyscore(keys.ROUNDS, "-inf", now_ms, start=0, num=BATCH)
        for raw in due:
            self._end(raw.decode())
            self._redis.zrem(keys.ROUNDS, raw)

    def _end(self, member: str) -> None:
        job_id, deciding = keys.split_lease_member(member)
        round_ = _round(self._redis, job_id, deciding)
        if round_ is None:
            return
        for step in round_.left:
            log.warning("keeper: step %s of %s is late, it goes on without", step.step, job_id)
            _end_step(self._redis, job_id, step, _late(step, round_), LATE)
        if round_.left:
            _send_deciding(self._redis, member)


def spare(redis: Redis, job_id: str, name: str, error: InferenceError) -> bool:
    """End a step with this error, where its job can do without it; False where it cannot.

    Raises:
        redis.RedisError: Redis is away; repeated, it ends the step once.
    """
    deciding: Any = redis.hget(keys.job(job_id), f"{name}:then")
    round_ = _round(redis, job_id, deciding.decode()) if deciding else None
    if round_ is None or not round_.timeout_s:
        return False
    for step in round_.left:
        if step.step == name:
            _end_step(redis, job_id, step, error, "error")
            if len(round_.left) == 1:
                _send_deciding(redis, keys.lease_member(job_id, deciding.decode()))
    return True


def _send_deciding(redis: Redis, member: str) -> None:
    """Let the step that follows be sent from its record: Celery's count lacks who was ended."""
    redis.zadd(keys.RESEND, {member: 0}, nx=True)


def _round(redis: Redis, job_id: str, deciding: str) -> RoundRecord | None:
    raw: Any = redis.hgetall(keys.job(job_id))
    fields: dict[str, bytes] = {name.decode(): value for name, value in raw.items()}
    return round_record(deciding, fields) if fields else None


def _end_step(
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


def _late(step: StepRecord, round_: RoundRecord) -> RequestTimeout:
    if 0 < round_.quorum <= round_.answered:
        waited = f"{round_.grace_s:g} s after the {round_.answered} that had answered"
    else:
        waited = f"{round_.timeout_s:g} s"
    how = "was not begun" if step.attempt == 0 else "did not end"
    return RequestTimeout(
        f"{step.model} was late: {step.step} {how} within {waited}.",
        details={"step": step.step, "model": step.model},
    )
