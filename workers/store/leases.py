"""Leases: which steps this worker may write for, renewed while it lives.

One watcher thread per worker renews every lease it holds in one call, and learns of jobs that
others ended (a client that left, a deadline). Either way the generation's `stop` event is set
and the engine ends the sequence within one step.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import events, keys
from workers.contract.events import Token
from workers.contract.job import Job
from workers.contract.step import Assignment, StepRequest
from workers.lua.scripts import run
from workers.store import job_names

log = logging.getLogger(__name__)

#: A lease that was not renewed for this long is lost.
LEASE_MS = 3000
#: Six renewals fit into a lease, so that one slow answer of Redis loses nothing.
HEARTBEAT_S = 0.5
#: After Redis or the keeper was away no worker is judged for this long: the living
#: ones get time to renew and to write what they could not.
RECOVERY_GRACE_S = 2 * LEASE_MS / 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step may not run now."""

    #: `gone`, `ended`, `done`, `held`, `early`, `late` or `alone`, as the script says.
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """What is renewed: a step's lease from the moment it was taken, its job decoded or not."""

    request: StepRequest
    attempt: int
    #: Set when the right is lost: stop decoding.
    stop: threading.Event = field(default_factory=threading.Event)
    #: Set, before `stop`, where the step is to go on elsewhere: this worker ends.
    giving_back: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """The right to write for one step."""

    hold: Hold
    job: Job
    #: Milliseconds from acceptance, or from when it was given back, to now.
    waited_ms: float
    #: Token ids that earlier attempts logged, and their text.
    produced: tuple[int, ...]
    said: str
    #: What it is to decode; None where that is what the job's caller sent.
    assignment: Assignment | None = None

    @property
    def request(self) -> StepRequest:
        """The step."""
        return self.hold.request

    @property
    def attempt(self) -> int:
        """How many times the step was begun, this time included."""
        return self.hold.attempt

    @property
    def stop(self) -> threading.Event:
        """See `Hold.stop`."""
        return self.hold.stop

    @property
    def giving_back(self) -> threading.Event:
        """See `Hold.giving_back`."""
        return self.hold.giving_back


class Leases(BackgroundThread):
    """The leases of one worker and the thread that watches over them."""

    def __init__(self, redis: Redis, owner: str) -> None:
        super().__init__("watcher", ends_within_s=2 * HEARTBEAT_S)
        self._redis = redis
        self._owner = owner
        self._held: set[Hold] = set()
        self._lock = threading.Lock()

    def take(self, request: StepRequest, *, alone: bool = False) -> Lease | Refusal:
        """Take a step's lease; `alone` where nothing else runs here while it is held.

        It is renewed before its job is decoded: a large one takes longer than a lease lasts.

        Raises:
            redis.RedisError: Redis is away; the message will be delivered again.
            ValueError: the job was written by a newer version.
        """
        verdict, *answer = run(
            self._redis,
            "take",
            request.job_id,
            request.step,
            request.model,
            self._owner,
            LEASE_MS,
            uuid.uuid4().hex,
            "1" if alone else "",
        )
        if verdict != b"taken":
            return self._refused(request, verdict.decode())
        hold = Hold(request, int(answer[0]))
        with self._lock:
            self._held.add(hold)
        try:
            return _lease(hold, answer)
        except BaseException:
            self._forget(hold)
            raise

    def _refused(self, request: StepRequest, reason: str) -> Refusal:
        if reason != "alone":  # else it is asked for again
            with job_names.bound(self._redis, request.job_id):
                log.info("step %s of %s not taken: %s", request.step, request.job_id, reason)
        return Refusal(reason)

    def drop(self, lease: Lease) -> None:
        """Stop renewing a lease: the step ended, or is given up."""
        self._forget(lease.hold)

    def hand_back(self, lease: Lease) -> None:
        """Let another worker go on with a step; what this one wrote of it is in the log.

        Raises:
            redis.RedisError: Redis is away; the lease expires by itself.
        """
        request = lease.request
        step = [request.job_id, request.step, request.model]
        run(self._redis, "hand_back", *step, lease.attempt, self._owner)

    def held(self) -> tuple[Hold, ...]:
        """Every lease that is held now."""
        with self._lock:
            return tuple(self._held)

    def _forget(self, hold: Hold) -> None:
        with self._lock:
            self._held.discard(hold)

    def _run(self) -> None:
        pubsub: PubSub | None = None
        while not self._ending.is_set():
            try:
                if pubsub is None:
                    pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
                    pubsub.subscribe(keys.CANCELS)
                self._renew_all()
                self._hear(pubsub, until=time.monotonic() + HEARTBEAT_S)
            except RedisError as error:
                log.warning("leases cannot be renewed while Redis is unavailable: %s", error)
                if pubsub is not None:
                    pubsub.close()
                    pubsub = None
                self._ending.wait(HEARTBEAT_S)
        if pubsub is not None:
            pubsub.close()

    def _hear(self, pubsub: PubSub, until: float) -> None:
        """Stop jobs and steps that others ended, until it is time to renew."""
        while (left_s := until - time.monotonic()) > 0 and not self._ending.is_set():
            message = pubsub.get_message(timeout=left_s)
            if message is None:
                continue
            ended = message["data"].decode()
            for lease in self.held():
                request = lease.request
                if ended in (request.job_id, keys.lease_member(request.job_id, request.step)):
                    lease.stop.set()

    def _renew_all(self) -> None:
        held = self.held()
        if not held:
            return
        arguments: list[str | int] = []
        for hold in held:
            arguments += [hold.request.job_id, hold.request.step, hold.attempt]
        renewed = run(self._redis, "renew", LEASE_MS, *arguments)
        for hold, kept in zip(held, renewed, strict=True):
            if not kept:
                hold.stop.set()


def _lease(hold: Hold, answer: Sequence[Any]) -> Lease:
    """What the script answered about a step that was taken.

    Raises:
        ValueError: the job was written by a newer version.
    """
    _attempt, job, waited_ms, log_so_far, assignment = answer
    produced, said = _produced(hold.request.step, log_so_far)
    return Lease(
        hold,
        Job.from_dict(json.loads(job)),
        float(waited_ms),
        produced,
        said,
        Assignment.from_dict(json.loads(assignment)) if assignment else None,
    )


def _produced(step: str, raw_events: Iterable[bytes]) -> tuple[tuple[int, ...], str]:
    """The token ids that a step has in the log, and their text."""
    decoded = (events.decode(raw) for raw in raw_events)
    tokens = [event for event in decoded if isinstance(event, Token) and event.step == step]
    ids = tuple(token_id for event in tokens for token_id in event.token_ids)
    return ids, "".join(event.text for event in tokens)
