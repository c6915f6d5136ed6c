"""Redelivery: sends the message of a step that is due, lost its worker, or whose message was lost.

A message is a hint. Whatever was lost between a queue and a worker shows as a step that waits while
no list holds its message; sending it twice does no harm.
"""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

from celery import Celery
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from workers.app import model_queue, priority_lists
from workers.contract import keys
from workers.contract.step import StepState
from workers.keeper.duties import Duty, Resources, register
from workers.lua.scripts import run
from workers.store import job_names

log = logging.getLogger(__name__)

#: Messages sent, and steps woken, in one sweep at most.
BATCH = 256
#: Seconds between two looks at the lengths of queues.
LOOK_S = 1.0
_ID = re.compile(rb'"id": ?"([^"]+)"')


class Redelivery:
    """A duty of the keeper: sends messages again that are to be, or were lost."""

    def __init__(self, redis: Redis, app: Celery) -> None:
        self._redis = redis
        self._app = app
        self._next_look = 0.0
        #: Steps that waited without a message at the last look: on its way, or lost.
        self._missing: set[bytes] = set()

    def begin(self) -> None:
        """Nothing is known of the queues."""
        self._missing.clear()
        self._next_look = time.monotonic() + LOOK_S

    def sweep(self) -> None:
        """Send what is due; now and then look for what was lost."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._look()
        run(self._redis, "wake", BATCH)
        due: Any = self._redis.zrange(keys.RESEND, 0, BATCH - 1, withscores=True)
        for raw, rank in due:
            self._send(raw.decode(), int(rank))
            self._redis.zrem(keys.RESEND, raw)

    def _send(self, member: str, rank: int) -> None:
        job_id, step = keys.split_lease_member(member)
        record: Any = self._redis.hmget(
            keys.job(job_id), f"{step}:signature", f"{step}:state", "terminal"
        )
        signature, state, terminal = record
        if signature is None or terminal or state.decode() != StepState.PENDING:
            return
        message = Signature.from_dict(json.loads(signature), app=self._app)
        try:
            message.apply_async(priority=rank)
        except OperationalError as error:
            raise RedisConnectionError(str(error)) from error
        with job_names.bound(self._redis, job_id):
            log.info("keeper: sent step %s of %s again", step, job_id)

    def _look(self) -> None:
        """Mark for sending what has no message now and had none a look ago."""
        models: Any = self._redis.smembers(keys.MODELS)
        missing: set[bytes] = set()
        for model in sorted(raw.decode() for raw in models):
            if not self._is_short(model):
                continue
            for member, rank in self._without_message(model):
                missing.add(member)
                if member in self._missing:
                    job_id, _ = keys.split_lease_member(member.decode())
                    with job_names.bound(self._redis, job_id):
                        log.warning("keeper: the message of %s was lost", member.decode())
                    self._redis.zadd(keys.RESEND, {member: rank}, nx=True)
        self._missing = missing

    def _is_short(self, model: str) -> bool:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zcard(keys.waiting(model))
            for name in priority_lists(model_queue(model)):
                pipe.llen(name)
            waiting, *lengths = pipe.execute()
        return bool(waiting > sum(lengths))

    def _without_message(self, model: str) -> list[tuple[bytes, int]]:
        """Steps that wait while no list holds their message, each with its rank."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrange(keys.waiting(model), 0, -1, withscores=True)
            for name in priority_lists(model_queue(model)):
                pipe.lrange(name, 0, -1)
            waiting, *lists = pipe.execute()
        ids = {match[1] for raw in lists for message in raw if (match := _ID.search(message))}
        return [
            (member, int(score) // keys.RANK_SPAN_MS)
            for member, score in waiting
            if member not in ids
        ]


@register
def _duty(resources: Resources) -> Duty:
    return Redelivery(resources.redis, resources.app)
