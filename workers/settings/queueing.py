"""Settings of queues: how much is taken in, in which order, and how a worker stops."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting

#: Requests that may be open at once where nothing else is said.
LEAST_CONCURRENT_REQUESTS = 10


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """Admission, priority and the end of a worker."""

    max_concurrent_requests: int | None = setting(
        "INFERENCE_MAX_CONCURRENT_REQUESTS", None, kinds.integer(1, 4096),
        "Synchronous requests that may be open at once, running and waiting together.",
        unset="10, or twice what the models answer at once where that is more",
    )
    max_queued_jobs: int = setting(
        "INFERENCE_MAX_QUEUED_JOBS", 10_000, kinds.integer(1, 10_000_000),
        "Asynchronous jobs that may wait at once before they begin.",
    )
    coalesce: bool = setting(
        "INFERENCE_COALESCE", False, kinds.BOOLEAN,
        "Answer requests of one API key that ask the same at the same moment once, at temperature "
        "0 or with a seed (CACHES.md).",
    )
    reject_when_full: bool = setting(
        "INFERENCE_REJECT_WHEN_FULL", True, kinds.BOOLEAN,
        "Refuse a request at once with QUEUE_FULL where INFERENCE_MAX_CONCURRENT_REQUESTS are "
        "open. While false it waits for one to end, at most for the request timeout.",
    )
    queue_strategy: str | None = setting(
        "INFERENCE_QUEUE_STRATEGY", None, kinds.choice("priority", "fifo"),
        "Which waiting request is next: the most urgent, or always the oldest.",
        unset="priority, or what INFERENCE_PRIORITY_ENABLED says",
    )
    priority_enabled: bool | None = setting(
        "INFERENCE_PRIORITY_ENABLED", None, kinds.BOOLEAN,
        "Another form of INFERENCE_QUEUE_STRATEGY: true is priority, false is fifo. The two must "
        "agree.",
        unset="what INFERENCE_QUEUE_STRATEGY says",
    )
    priority_levels: int = setting(
        "INFERENCE_PRIORITY_LEVELS", 3, kinds.integer(3, 3),
        "Priorities that a caller can choose: 1 low, 2 normal, 3 high. Jobs have one more, 0, for "
        "bulk work.",
    )
    default_priority: int = setting(
        "INFERENCE_DEFAULT_PRIORITY", 2, kinds.integer(1, 3),
        "Priority of a request that names none: 1 low, 2 normal, 3 high.",
    )
    aging_s: float = setting(
        "INFERENCE_AGING_S", 60.0, kinds.number(1, 86_400),
        "Seconds after which a waiting request moves up by one of ten lists, so that none waits "
        "for ever. Bulk begins at list 8, low at 6, normal at 4, high at 2; list 1 runs first.",
    )
    grace_s: float = setting(
        "INFERENCE_GRACE_S", 30.0, kinds.number(0, 3600),
        "Seconds that a stopping worker has to end its running answers.",
    )
