"""Admission: which jobs are let in, and where in the queue they enter."""

from __future__ import annotations

from workers.app import FIFO_RANK, RANK
from workers.cluster.directory import Directory
from workers.contract.errors import DeadlineUnreachable, QueueFull, TemporaryResource
from workers.contract.job import Job
from workers.contract.keys import SYNC_TTL_S
from workers.settings import Settings
from workers.store import stored_bytes
from workers.store.admission import Backlog, Full, Idempotency, OverShare, Terms
from workers.store.jobs import JobStore
from workers.store.redis_memory import FULL, RedisMemory

#: How long a refused caller is asked to wait where nothing was measured yet, at least and at most.
RETRY_AFTER_MS = 1000
_LEAST_MS, _MOST_MS = 100, 60_000


class Admission:
    """The bounds, and what is measured against them."""

    def __init__(
        self, settings: Settings, directory: Directory, jobs: JobStore, memory: RedisMemory
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._jobs = jobs
        self._memory = memory

    def terms(self, job: Job, idempotency: Idempotency | None) -> Terms:
        """On which terms a job may be stored; the store holds them, over all front ends.

        Raises:
            TemporaryResource: Redis has hardly any memory left.
            DeadlineUnreachable: the queue is too long for its deadline.
            redis.RedisError: Redis is away.
        """
        self._require_memory()
        by_priority = self._settings.effective_queue_strategy == "priority"
        rank = RANK[job.priority] if by_priority else FIFO_RANK
        if job.deadline_s is not None:
            self._require_time(job, rank, job.deadline_s)
        fair = by_priority and job.owner is not None
        return Terms(
            rank=rank,
            keep_s=self._settings.result_ttl_s if job.is_listed else SYNC_TTL_S,
            limit=self._limit(job),
            # What a model answers at once may wait in a key's name; the rest is more than a share.
            share=max(1, self.capacity(job.model)) if fair else None,
            stored_limit=(
                None if job.owner is None else stored_bytes.limit(self._settings, self._memory)
            ),
            idempotency=idempotency,
        )

    def capacity(self, model: str) -> int:
        """Steps that all live workers of a model run at once."""
        return sum(worker.concurrency for worker in self._directory.serving(model))

    def wait_s(self, model: str, position: int) -> float | None:
        """Seconds until the step at this place of a model's queue begins; None: unknown."""
        return self._jobs.backlog(model).wait_s(position, self.capacity(model))

    def full_memory(self) -> float | None:
        """The part of Redis' memory that is used, where no new work is taken in for it; else None.

        Raises:
            redis.RedisError: Redis is away.
        """
        used = self._memory.used()
        return used if used > FULL else None

    def refusal(self, job: Job, full: Full) -> QueueFull:
        """The error of a caller for whom there is no place."""
        if job.asynchronous:
            message = (
                f"{full.there} jobs wait, as many as INFERENCE_MAX_QUEUED_JOBS allows. Try again "
                "later."
            )
        else:
            message = (
                f"{full.there} requests are open, as many as INFERENCE_MAX_CONCURRENT_REQUESTS "
                "allows. Try again in a moment, or submit a job to POST /v1/jobs."
            )
        return QueueFull(
            message,
            details={"position": full.waiting + 1, "open": full.there},
            retry_after_ms=self._next_end_ms(job.model),
        )

    def refusal_of_share(self, over: OverShare, limit: int) -> TemporaryResource:
        """The error of a caller whose API key has no bytes left."""
        return TemporaryResource(
            f"The jobs of this API key take {over.stored / 1e6:.1f} MB in Redis and this one "
            f"{over.own / 1e6:.1f} MB more; they may take {limit / 1e6:.1f} MB together "
            "(INFERENCE_MAX_STORED_MB_PER_KEY). Results that could be deleted are. Wait until jobs "
            "end, or delete some.",
            details={"bound": "stored_bytes", "limit": limit, "stored": over.stored},
        )

    def _limit(self, job: Job) -> int:
        return self._settings.max_queued_jobs if job.asynchronous else self.most_open()

    def most_open(self) -> int:
        """Synchronous requests that may be open at once."""
        at_once = sum(
            worker.concurrency for worker in self._directory.all_serving() if worker.model
        )
        return self._settings.effective_max_concurrent_requests(at_once)

    def _require_memory(self) -> None:
        used = self.full_memory()
        if used is not None:
            raise TemporaryResource(
                f"Redis has used {used:.0%} of its memory. What is accepted is ended first; try "
                "again later.",
                details={"redis_memory_used": round(used, 3)},
            )

    def _require_time(self, job: Job, rank: int, deadline_s: float) -> None:
        backlog = self._jobs.backlog(job.model, rank)
        wait_s = backlog.wait_s(backlog.waiting + 1, self.capacity(job.model))
        if wait_s is None or wait_s < deadline_s:
            return
        raise DeadlineUnreachable(
            f"About {wait_s:.1f} s pass before it begins; its deadline is {deadline_s:g} s.",
            details={"estimated_wait_s": round(wait_s, 1), "deadline_s": deadline_s},
            retry_after_ms=_bounded(1000 * (wait_s - deadline_s)),
        )

    def _next_end_ms(self, model: str) -> int:
        """Milliseconds until a step of the model ends, at the pace measured last."""
        backlog: Backlog = self._jobs.backlog(model)
        capacity = self.capacity(model)
        if backlog.step_ms is None or not capacity:
            return RETRY_AFTER_MS
        return _bounded(backlog.step_ms / capacity)


def _bounded(wait_ms: float) -> int:
    return round(min(max(wait_ms, _LEAST_MS), _MOST_MS))
