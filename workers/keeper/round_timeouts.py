"""A round has a time limit: a step that is too late is ended, and the others go on without it."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis

from workers.contract import keys
from workers.contract.errors import RequestTimeout
from workers.contract.step import LATE
from workers.keeper.duties import Duty, RecoveryGrace, Resources, register
from workers.store import job_names, rounds
from workers.store.connections import redis_time_ms
from workers.store.records import StepRecord
from workers.store.rounds import RoundRecord

log = logging.getLogger(__name__)

#: Rounds looked at in one sweep at most; the rest follows in the next.
BATCH = 64


class RoundTimeouts:
    """A duty of the keeper: ends steps of a round whose time is over."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._grace = RecoveryGrace()

    def begin(self) -> None:
        """Judge no step for a while: Redis or the keeper was away, and no worker could write."""
        self._grace.begin()

    def sweep(self) -> None:
        """End what is late; a worker that decodes for it stops, what it writes is refused."""
        if self._grace.lasts():
            return
        now_ms = redis_time_ms(self._redis)
        due: Any = self._redis.zrangebyscore(keys.ROUNDS, "-inf", now_ms, start=0, num=BATCH)
        for raw in due:
            self._end(raw.decode())
            self._redis.zrem(keys.ROUNDS, raw)

    def _end(self, member: str) -> None:
        job_id, deciding = keys.split_lease_member(member)
        round_ = rounds.read(self._redis, job_id, deciding)
        if round_ is None:
            return
        for step in round_.left:
            with job_names.bound(self._redis, job_id, model=step.model):
                log.warning("keeper: step %s timed out, the job continues without it", step.step)
            rounds.end_step(self._redis, job_id, step, _late(step, round_), LATE)
        if round_.left:
            rounds.send_deciding(self._redis, member)


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


@register
def _duty(resources: Resources) -> Duty:
    return RoundTimeouts(resources.redis)
