"""The state: what Redis knows of queues, jobs and workers at this moment, as metrics.

Nothing here is counted a second time: the queues are those that admission and routing read, and
what a worker says of itself is its presence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from redis import Redis

from workers.cluster.directory import Directory
from workers.cluster.presence import Worker
from workers.contract import keys
from workers.contract.step import ORCHESTRATOR
from workers.metrics import cache_meter, uses
from workers.store.connections import redis_time_ms

#: Stands for what needs no model: decisions between rounds, and the worker that makes them.
ORCHESTRATION = "orchestration"
#: The rank of a waiting step -> its priority now. Ranks between two priorities are those of steps
#: that have moved up with age; 0 has the next steps of jobs that have begun.
PRIORITIES = (
    "started", "high", "high", "normal", "normal", "low", "low", "bulk", "bulk", "bulk",
)  # fmt: skip
#: What a step's record tells of how long it waits.
_HEAD_FIELDS = ("added_ms", "attempt")


@dataclass(slots=True)
class Queue:
    """The steps that wait for one model, or run on it."""

    running: int = 0
    #: Priority -> steps that wait.
    waiting: Counter[str] = field(default_factory=Counter)
    #: Priority -> seconds for which the first of them waits.
    oldest_s: dict[str, float] = field(default_factory=dict)


def read(redis: Redis, directory: Directory, known: Collection[str]) -> Iterator[Metric]:
    """Every metric of the state; of models only those of the catalogue, which are `known`.

    Raises:
        redis.RedisError: Redis is away.
    """
    workers = directory.workers()
    raw: Any = redis.smembers(keys.MODELS)
    had_jobs = {model.decode() for model in raw}
    models = (had_jobs & set(known)) | {worker.model for worker in workers if worker.model}
    yield from _queues(queues(redis, sorted(models)))
    yield from _workers(workers)
    yield from uses.families(
        (worker.model, worker.use) for worker in workers if worker.model and worker.use
    )
    yield from _jobs(redis)
    yield from _redis_memory(redis)
    yield from cache_meter.sizes(redis)
    yield _gauge("inference_keeper", "Whether there is a keeper: 1, or 0.", float(directory.kept))


def queues(redis: Redis, models: Collection[str]) -> dict[str, Queue]:
    """The queue of each of these models, and of what needs none.

    Raises:
        redis.RedisError: Redis is away.
    """
    names = {ORCHESTRATION: ORCHESTRATOR} | {model: model for model in models}
    found = {name: Queue() for name in names}
    with redis.pipeline(transaction=False) as pipe:
        for model in names.values():
            pipe.scard(keys.running(model))
            pipe.zcard(keys.waiting(model))
        counts = pipe.execute()
    waited_for = []
    for name, running, waiting in zip(names, counts[::2], counts[1::2], strict=True):
        found[name].running = running
        if waiting:
            waited_for.append(name)
    if waited_for:
        _look_into(redis, {name: names[name] for name in waited_for}, found)
    return found


def _look_into(redis: Redis, waited_for: Mapping[str, str], found: Mapping[str, Queue]) -> None:
    """Count what waits by its rank, and find out since when the first of each rank does."""
    with redis.pipeline(transaction=False) as pipe:
        for model in waited_for.values():
            for rank in range(len(PRIORITIES)):
                least, most = rank * keys.RANK_SPAN_MS, f"({(rank + 1) * keys.RANK_SPAN_MS}"
                pipe.zcount(keys.waiting(model), least, most)
                pipe.zrange(
                    keys.waiting(model), least, most,
                    byscore=True, offset=0, num=1, withscores=True,
                )  # fmt: skip
        answers = iter(pipe.execute())
    heads = []
    for name in waited_for:
        for priority in PRIORITIES:
            found[name].waiting[priority] += next(answers)
            for member, score in next(answers):
                heads.append((name, priority, member.decode(), int(score) % keys.RANK_SPAN_MS))
    now_ms = redis_time_ms(redis)
    with redis.pipeline(transaction=False) as pipe:
        for _, _, member, _ in heads:
            job_id, step = keys.split_lease_member(member)
            pipe.hmget(keys.job(job_id), [f"{step}:{name}" for name in _HEAD_FIELDS])
        records = pipe.execute()
    for (name, priority, _, since_ms), (added_ms, attempt) in zip(heads, records, strict=True):
        # The score tells since when it is in its rank. What ran before waits since it came back.
        since_ms = since_ms if attempt or added_ms is None else int(added_ms)
        oldest_s = found[name].oldest_s
        oldest_s[priority] = max(oldest_s.get(priority, 0.0), (now_ms - since_ms) / 1000)


def _queues(found: Mapping[str, Queue]) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "inference_queue_depth",
        "Steps that wait for a worker, by the priority that they have by now.",
        labels=("model", "priority"),
    )
    oldest = GaugeMetricFamily(
        "inference_queue_oldest_seconds",
        "Seconds for which the oldest of them waits.",
        labels=("model", "priority"),
    )
    running = GaugeMetricFamily(
        "inference_running_steps", "Steps that workers run.", labels=("model",)
    )
    for name, queue in sorted(found.items()):
        for priority in dict.fromkeys(PRIORITIES):
            depth.add_metric((name, priority), queue.waiting[priority])
            oldest.add_metric((name, priority), queue.oldest_s.get(priority, 0.0))
        running.add_metric((name,), queue.running)
    yield from (depth, oldest, running)


def _workers(workers: Collection[Worker]) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "inference_workers", "Worker processes, by what they do.", labels=("model", "status")
    )
    memory = GaugeMetricFamily(
        "inference_model_memory_bytes", "Memory that loaded models take.", labels=("model",)
    )
    places = GaugeMetricFamily(
        "inference_model_concurrency", "Answers that workers give at once.", labels=("model",)
    )
    by_status = Counter((worker.model or ORCHESTRATION, worker.status.value) for worker in workers)
    for labels, number in sorted(by_status.items()):
        count.add_metric(labels, number)
    for model in sorted({worker.model for worker in workers if worker.model}):
        holding = [worker for worker in workers if worker.model == model and worker.holds]
        memory.add_metric((model,), sum(worker.memory_bytes for worker in holding))
        places.add_metric((model,), sum(worker.concurrency for worker in holding))
    yield from (count, memory, places)


def _jobs(redis: Redis) -> Iterator[Metric]:
    with redis.pipeline(transaction=False) as pipe:
        for key in (keys.SLOTS, keys.QUEUED, keys.DEAD, keys.WEBHOOKS):
            pipe.zcard(key)
        slots, queued, dead, webhooks = pipe.execute()
    yield _gauge("inference_open_requests", "Requests whose callers wait for an answer.", slots)
    yield _gauge("inference_queued_jobs", "Asynchronous jobs that have not begun.", queued)
    yield _gauge("inference_dead_letters", "Jobs that were set aside for a person to see.", dead)
    yield _gauge("inference_webhooks_pending", "Webhooks that are to be called.", webhooks)


def _redis_memory(redis: Redis) -> Iterator[Metric]:
    memory: Any = redis.info("memory")
    used, most = memory["used_memory"], memory.get("maxmemory", 0)
    yield _gauge("inference_redis_memory_bytes", "Memory that Redis uses.", used)
    yield _gauge("inference_redis_memory_limit_bytes", "Memory it may use; 0: as it likes.", most)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
