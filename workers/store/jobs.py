"""The job's record in Redis: the authority on what was asked and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from workers.contract import events, keys
from workers.contract.events import Cancelled, Event, Queued
from workers.contract.job import Job, JobState
from workers.lua.scripts import run
from workers.store import dead_letters, stored_bytes, webhook_attempts
from workers.store.admission import (
    IN_MEMORY,
    Backlog,
    Durability,
    Full,
    Idempotency,
    Joined,
    Known,
    NotDurable,
    OverShare,
    Stored,
    Terms,
)
from workers.store.leases import Lease
from workers.store.planned import PlannedStep, dump, step_arguments
from workers.store.records import LISTED, JobEntry, JobRecord, job_entry, job_record
from workers.store.token_log import Entry, append, read_events
from workers.store.webhook_attempts import Attempt

#: `appendfsync everysec` writes each second; a slow disk takes longer.
DISK_TIMEOUT_MS = 4000
#: A replica in the same network has it within a millisecond; one that is busy takes longer.
REPLICAS_TIMEOUT_MS = 2000
#: Records looked at in one call while a list is made.
_PAGE = 100


class JobStore:
    """Stores jobs, reads them, ends them; raises `redis.RedisError` while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def store(
        self,
        job: Job,
        steps: Sequence[PlannedStep],
        terms: Terms,
        durability: Durability = IN_MEMORY,
    ) -> Stored | Full | Known | Joined | OverShare:
        """Store an accepted job with its first steps; they count as waiting from now.

        It returns when the job is where `durability` asks for.

        Raises:
            NotDurable: it is stored, and not there in time.
        """
        arguments = _arguments(job, steps, terms)
        if durability == IN_MEMORY:
            verdict, *answer = run(self._redis, "store", *arguments)
            return _verdict(verdict.decode(), answer)
        with self._redis.client() as connection:  # what is waited for are its own writes
            verdict, *answer = run(connection, "store", *arguments)
            if verdict == b"stored":
                if durability.on_disk:
                    _await_disk(connection)
                if durability.replicas:
                    _await_replicas(connection, durability.replicas)
        return _verdict(verdict.decode(), answer)

    def advance(self, lease: Lease, worker_id: str, steps: Sequence[PlannedStep]) -> bool:
        """End the step that decided what comes next, and add the steps that it decided on.

        Returns False when it may not: the job has ended, or another attempt decides.
        """
        request = lease.request
        deciding: list[Any] = [
            request.job_id,
            request.step,
            request.model,
            lease.attempt,
            worker_id,
        ]
        return bool(run(self._redis, "advance", *deciding, *step_arguments(steps)))

    def record(self, job_id: str) -> JobRecord | None:
        """The job's record; None when there is none, or no longer."""
        raw: Any = self._redis.hgetall(keys.job(job_id))
        fields: dict[str, bytes] = {name.decode(): value for name, value in raw.items()}
        return job_record(fields) if fields else None

    def events(self, job_id: str) -> list[Event]:
        """The job's events so far, in order."""
        return read_events(self._redis, job_id)

    def listed(
        self,
        owner: str | None,
        *,
        state: JobState | None = None,
        model: str | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> list[JobEntry]:
        """Jobs that one API key asked for and whose results are kept for it, the latest first.

        `after` is the id of the last one of the page before.
        """
        index = keys.jobs(owner)
        rank: Any = self._redis.zrevrank(index, after) if after else None
        begin = 0 if rank is None else int(rank) + 1
        page: list[JobEntry] = []
        while len(page) < limit:
            raw: Any = self._redis.zrevrange(index, begin, begin + _PAGE - 1)
            ids = [job_id.decode() for job_id in raw]
            begin += len(ids)
            entries = self._entries(ids)
            for job_id, entry in zip(ids, entries, strict=True):
                if entry is None:  # no longer kept
                    self._redis.zrem(index, job_id)
                    begin -= 1
                elif state in (None, entry.state) and model in (None, entry.model):
                    page.append(entry)
            if len(ids) < _PAGE:
                break
        return page[:limit]

    def _entries(self, ids: Sequence[str]) -> list[JobEntry | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hmget(keys.job(job_id), LISTED)
            rows = pipe.execute()
        return [
            None if row[0] is None else job_entry(job_id, row)
            for job_id, row in zip(ids, rows, strict=True)
        ]

    def queue_position(self, record: JobRecord) -> tuple[int, str] | None:
        """Place in its model's queue of the job's first waiting step, 1 the next, and the model.

        None where nothing of it waits.
        """
        for step in record.steps:
            member = keys.lease_member(record.job.id, step.step)
            rank: Any = self._redis.zrank(keys.waiting(step.model), member)
            if rank is not None:
                return int(rank) + 1, step.model
        return None

    def backlog(self, model: str, rank: int = 9) -> Backlog:
        """What stands before a new job of a model whose messages have this rank."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zcount(keys.waiting(model), "-inf", f"({(rank + 1) * keys.RANK_SPAN_MS}")
            pipe.scard(keys.running(model))
            pipe.get(keys.pace(model))
            waiting, running, pace = pipe.execute()
        return Backlog(waiting, running, None if pace is None else float(pace))

    def webhook_attempts(self, job_id: str) -> list[Attempt]:
        """Attempts to call the job's webhook, in order."""
        return webhook_attempts.listed(self._redis, job_id)

    def dead_letters(self) -> list[str]:
        """Ids of the jobs that were set aside, the latest first."""
        return dead_letters.listed(self._redis)

    def drop_dead_letter(self, job_id: str) -> None:
        """Count a job as a dead letter no longer."""
        dead_letters.drop(self._redis, job_id)

    def release(self, job_id: str) -> None:
        """Count a synchronous request as open no longer, though its job goes on."""
        self._redis.zrem(keys.SLOTS, job_id)

    def leave(self, job_id: str) -> int:
        """Read a job no longer that several requests may read; returns how many still do."""
        return int(run(self._redis, "leave_job", job_id))

    def forget(self, idempotency: Idempotency) -> None:
        """Let a caller's Idempotency-Key stand for nothing."""
        self._redis.delete(keys.idempotency(idempotency.scope))

    def delete(self, job_id: str) -> bool:
        """Delete a job that has ended, with everything that is kept of it.

        Returns False when it has not ended, or there is no such job.
        """
        return bool(run(self._redis, "delete", job_id, keys.DELETED_TTL_S))

    def make_room(self, owner: str, limit: int) -> int:
        """Delete an API key's oldest results until its jobs take `limit` bytes or fewer.

        Returns how many they take then: more than `limit` where what is left has not ended.
        """
        return stored_bytes.make_room(self._redis, owner, limit)

    def cancel(self, job_id: str, reason: str) -> bool:
        """End the job now; workers that decode for it stop within one step.

        Returns False when it had ended already, or there is no such job.
        """
        ending = Entry(job_id, Cancelled(seq=0, reason=reason), ends_as=JobState.CANCELLED)
        return append(self._redis, [ending]) != [0]


def _arguments(job: Job, steps: Sequence[PlannedStep], terms: Terms) -> list[Any]:
    """What `store.lua` is given."""
    known = terms.idempotency
    return [
        job.id,
        dump(job.to_dict()),
        dump(job.without_request().to_dict()),
        events.encode(Queued(seq=0)),
        keys.ACCEPTED_TTL_S,
        max(1, int(terms.keep_s)),
        terms.rank,
        job.model,
        job.priority.value,
        job.owner or "",
        "1" if job.asynchronous else "",
        "1" if job.is_listed else "",
        "" if terms.limit is None else terms.limit,
        keys.SLOT_MS,
        "" if terms.share is None else terms.share,
        "" if terms.stored_limit is None else terms.stored_limit,
        stored_bytes.JOB_BYTES,
        "" if job.deadline_s is None else int(job.deadline_s * 1000),
        job.webhook or "",
        known.scope if known else "",
        known.digest if known else "",
        terms.alike or "",
        *step_arguments(steps),
    ]


def _await_disk(redis: Redis) -> None:
    try:
        written: Any = redis.execute_command("WAITAOF", 1, 0, DISK_TIMEOUT_MS)
    except ResponseError as error:
        raise NotDurable(
            f"INFERENCE_JOBS_FSYNC=true, and Redis cannot promise that: {error}"
        ) from error
    if not written[0]:
        raise NotDurable(
            f"INFERENCE_JOBS_FSYNC=true, and Redis did not write the job within "
            f"{DISK_TIMEOUT_MS / 1000:g} s"
        )


def _await_replicas(redis: Redis, count: int) -> None:
    having: Any = redis.execute_command("WAIT", count, REPLICAS_TIMEOUT_MS)
    if having < count:
        raise NotDurable(
            f"INFERENCE_JOBS_REPLICAS={count}, and {having} replicas of Redis had the job within "
            f"{REPLICAS_TIMEOUT_MS / 1000:g} s"
        )


def _verdict(verdict: str, answer: Sequence[Any]) -> Stored | Full | Known | Joined | OverShare:
    if verdict == "stored":
        return Stored(*answer)
    if verdict == "over":
        return OverShare(*answer)
    if verdict == "full":
        return Full(*answer)
    if verdict == "joined":
        return Joined(answer[0].decode())
    return Known(answer[0].decode(), same_body=verdict == "same")
