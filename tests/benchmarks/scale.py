"""What Redis pays for workers, jobs and tokens, and how far one server goes on paper.

Forty workers' worth of threads with the service's own code: presence, orders, drains, leases,
token logs and messages on one Valkey with its append-only file. The engine is scripted, and
Celery's loop is left out: its BRPOP is sent. What is measured is Redis' own CPU time, which no load
of other processes changes much. What is said of more workers than these is a sum of these parts.
"""

import json
import tempfile
import threading
import time
from pathlib import Path

from redis import Redis

from orchestration.modes import registry
from orchestration.rounds import dispatch
from presets.model import ModelSpec
from tests.support.front_end import free_port
from tests.support.valkey import Valkey
from workers.app import make_app, model_queue, priority_lists
from workers.cluster.directory import Directory
from workers.cluster.drains import DrainWatcher
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.job import Job, Message
from workers.contract.step import StepRequest
from workers.engines.base import EngineOptions
from workers.engines.scripted import ScriptedEngine
from workers.loading import snapshot
from workers.loading.order_watcher import OrderWatcher
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.runtime import generation
from workers.settings import read
from workers.store import connections
from workers.store.admission import Terms
from workers.store.jobs import JobStore
from workers.store.leases import Leases
from workers.store.token_log import TokenLog

WORKERS = 40
MODELS = 4
#: Seconds for which idle workers are watched.
IDLE_S = 5.0
#: Jobs in the measurement of a job alone, and tokens of each in that of tokens.
JOBS, TOKENS = 120, 20
#: Jobs that wait at once in the measurement of a long queue.
WAITING = 2_000
#: Reads of everything that front ends and keeper do, in the measurement of theirs.
READS = 50
#: What a second of a shape asks for: workers, front ends, tokens/s and jobs/s of one worker.
SHAPES = {
    "10 workers, 1 front end": (10, 1, 300, 1.0),
    "200 workers, 2 front ends": (200, 2, 300, 1.0),
    "1,000 workers, 4 front ends": (1_000, 4, 300, 1.0),
    "10,000 workers, 20 front ends": (10_000, 20, 300, 1.0),
}
#: Looks of a front end at the directory, and of the keeper at all models, in a second.
LOOKS, SWEEPS = 4, 4


#: Microseconds of CPU and commands, those inside scripts included.
_Cost = tuple[float, float]


class _Meter:
    """Redis' own account of its work."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def now(self) -> _Cost:
        """CPU time and commands since the server started."""
        cpu, stats = self._redis.info("cpu"), self._redis.info("commandstats")
        calls = sum(one["calls"] for one in stats.values())
        return 1e6 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]), calls

    def per(self, count: float, before: _Cost) -> _Cost:
        """What each of `count` has cost since `before`."""
        cpu_us, calls = self.now()
        return (cpu_us - before[0]) / count, (calls - before[1]) / count


class _WorkerThreads:
    """One worker process' threads, with a client of its own."""

    def __init__(self, settings, number: int, engine: ScriptedEngine) -> None:
        self.redis = connections.client(settings)
        self.model = f"m{number % MODELS}"
        worker = Worker(f"w{number}", self.model, pid=1, host=f"h{number // 8}", concurrency=1)
        presence = Presence(self.redis, worker)
        presence.loaded(memory_bytes=2**30, context_length=8192)
        self.leases, self.token_log = Leases(self.redis, worker.id), TokenLog(self.redis)
        self.metrics = ProcessMetrics()
        self._threads = [
            presence,
            OrderWatcher(self.redis, self.model, presence, print),
            DrainWatcher(self.redis, worker.id, print),
            self.leases,
            self.token_log,
            MetricsReporter(self.redis, self.metrics),
        ]
        self._runner = generation.StepRunner(
            engine, self.leases, self.token_log, metrics=self.metrics
        )
        self._queue = priority_lists(model_queue(self.model))
        self._ending = threading.Event()
        self._consumer = threading.Thread(target=self._consume, daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def consume(self) -> None:
        """Take messages from now on, as kombu takes them."""
        self._consumer.start()

    def stop(self) -> None:
        self._ending.set()
        for thread in reversed(self._threads):
            thread.stop()

    def _consume(self) -> None:
        while not self._ending.is_set():
            taken = self.redis.brpop(self._queue, timeout=1)
            if taken is not None:
                job_id, _, step = json.loads(taken[1])["headers"]["id"].partition("|")
                generation.run(StepRequest(job_id, step, self.model, ends_job=True), self._runner)


class _Producer:
    """A front end's way of a job into the queue."""

    def __init__(self, settings) -> None:
        self._app = make_app(settings)
        self._jobs = JobStore(connections.client(settings))
        self._mode = registry.load(None)["single"]
        self._made = 0

    def put(self, *, tokens: int) -> None:
        """One job of so many tokens."""
        self._made += 1
        script = {"text": " ".join(["word"] * tokens), "tokens_per_s": 100}
        message = Message("user", json.dumps({"scripted": script}))
        model = f"m{self._made % MODELS}"
        job = Job(f"job-{self._made}", model, (message,), created=1, asynchronous=True)
        steps = dispatch.plan(self._app, job, 1, self._mode.plan(job))
        self._jobs.store(job, steps, Terms(rank=4, keep_s=600))
        dispatch.send(self._app, steps, 4)


def run() -> dict:
    directory = Path(tempfile.mkdtemp(prefix="is-"))
    with Valkey(directory, port=free_port(), persistent=True) as server:
        settings = read({"INFERENCE_REDIS_URL": server.url}, env_file=None)
        redis = connections.client(settings)
        meter, producer = _Meter(redis), _Producer(settings)
        engine = ScriptedEngine(EngineOptions(concurrency=WORKERS, cache_dir=directory))
        engine.load(ModelSpec("scripted", None, 8192, backend="scripted"), lambda _fraction: None)
        workers = [_WorkerThreads(settings, number, engine) for number in range(WORKERS)]
        waiting_us, waiting_bytes = _long_queue(redis, meter, producer)
        redis.flushall()
        for worker in workers:
            worker.start()
        _until(lambda: len(Directory(redis, ttl_s=0).workers()) == WORKERS)
        before, began = meter.now(), time.monotonic()
        time.sleep(IDLE_S)
        idle = meter.per((time.monotonic() - began) * WORKERS, before)
        look_us, sweep_us = _reads(redis, meter)
        for worker in workers:
            worker.consume()
        short = _jobs(redis, meter, producer, idle, tokens=1)
        long = _jobs(redis, meter, producer, idle, tokens=TOKENS)
        for worker in workers:
            worker.stop()
    token_us = (long[0] - short[0]) / (TOKENS - 1)
    costs = {
        "idle worker, us of Redis' CPU in a second": idle[0],
        "idle worker, commands in a second": idle[1],
        "job of one token, us": short[0],
        "job of one token, commands": short[1],
        "each further token, written by itself, us": token_us,
        "each further token, written by itself, commands": (long[1] - short[1]) / (TOKENS - 1),
        "job put in, us, with 0 and 2,000 waiting": waiting_us,
        "job that waits, bytes": waiting_bytes,
        "1,000,000 jobs that wait, GB (on paper)": waiting_bytes * 1e6 / 1e9,
        f"look of a front end at {WORKERS} workers, us": look_us,
        f"sweep of the keeper over {WORKERS} workers, us": sweep_us,
        "tokens/s of one Redis and nothing else (on paper)": 1e6 / token_us,
    }
    for shape, (count, front_ends, tokens, jobs) in SHAPES.items():
        everybody = count / WORKERS * (front_ends * LOOKS * look_us + SWEEPS * sweep_us)
        busy = count * (idle[0] + tokens * token_us + jobs * short[0]) + everybody
        costs[f"{shape}: part of Redis' core (on paper)"] = busy / 1e6
        costs[f"{shape}: of it for looking at workers"] = everybody / 1e6
    return costs


def _long_queue(redis: Redis, meter: _Meter, producer: _Producer):
    """Microseconds of a job at the beginning and at the end of a long queue; bytes of one."""
    costs = []
    empty = redis.info("memory")["used_memory"]
    for first, last in ((0, 500), (WAITING - 500, WAITING)):
        while (waiting := sum(redis.zcard(keys.waiting(f"m{m}")) for m in range(MODELS))) < first:
            for _ in range(first - waiting):
                producer.put(tokens=1)
        before = meter.now()
        for _ in range(last - first):
            producer.put(tokens=1)
        costs.append(meter.per(last - first, before)[0])
    return costs, (redis.info("memory")["used_memory"] - empty) / WAITING


def _reads(redis: Redis, meter: _Meter) -> tuple[float, float]:
    before = meter.now()
    directory = Directory(redis, ttl_s=0.0)
    for _ in range(READS):
        directory.workers()
    look_us = meter.per(READS, before)[0]
    before = meter.now()
    for _ in range(READS):
        snapshot.read(redis)
    return look_us, meter.per(READS, before)[0]


def _jobs(redis: Redis, meter: _Meter, producer: _Producer, idle: _Cost, *, tokens: int) -> _Cost:
    """What one job costs, without what idle workers cost meanwhile."""
    before, began = meter.now(), time.monotonic()
    for _ in range(JOBS):
        producer.put(tokens=tokens)
    _until(lambda: not _left(redis))
    took_s = time.monotonic() - began
    spent = meter.per(JOBS, before)
    beside = took_s * WORKERS / JOBS
    return spent[0] - beside * idle[0], spent[1] - beside * idle[1]


def _left(redis: Redis) -> int:
    """Jobs that wait or run."""
    with redis.pipeline(transaction=False) as pipe:
        for number in range(MODELS):
            pipe.zcard(keys.waiting(f"m{number}"))
            pipe.scard(keys.running(f"m{number}"))
        return sum(pipe.execute())


def _until(done) -> None:
    deadline = time.monotonic() + 300
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not come, or did not answer")
        time.sleep(0.2)
