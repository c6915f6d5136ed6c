"""What lies between two steps of a job: from the end of one to the beginning of the next."""

import http.client
import json
import threading
import time

from redis import Redis

from tests.benchmarks.processes import percentile, service
from workers.contract import events, keys
from workers.contract.events import Started, StepFinished, Token
from workers.store import embedded

JOBS, WARM = 200, 20
LAST = "smollm2-135m"
SCRIPT = {"text": "word", "tokens_per_s": 1_000_000}


class Listener:
    """When each event of a job was published, as one subscriber sees it."""

    def __init__(self, redis: Redis) -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe(keys.LIVE_PATTERN)
        self._pubsub.get_message(timeout=5)
        self.seen: dict[str, list[tuple[float, events.Event]]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._ending.is_set():
            message = self._pubsub.get_message(timeout=0.2)
            if message is not None:
                job_id = keys.job_of_live(message["channel"].decode())
                event = events.decode(message["data"])
                self.seen.setdefault(job_id, []).append((time.perf_counter(), event))


def run() -> dict:
    scripted = {"INFERENCE_BACKEND": "scripted", "INFERENCE_CONFIG": "demo-pipeline"}
    with service(concurrency=1, pinned=False, **scripted) as running:
        redis = Redis.from_url(embedded.url(running.data_dir))
        listener = Listener(redis)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        first = {"single": [], "pipeline": []}
        hops = []
        for number in range(WARM + JOBS):
            for mode in first:  # in turn, so that both meet the same machine
                asked_at, job = _ask(connection, mode)
                seen = whole(listener, job["id"])
                if number < WARM:
                    continue
                first[mode].append(1000 * (_first(seen) - asked_at))
                hops += [1000 * gap for gap in _gaps(seen)]
        listener.stop()
    added = percentile(first["pipeline"], 0.5) - percentile(first["single"], 0.5)
    return {
        "hops measured": len(hops),
        "end of a step to the next one's beginning, ms p50": round(percentile(hops, 0.5), 2),
        "the same, ms p99": round(percentile(hops, 0.99), 2),
        "request to first step's token, single, ms p50": round(percentile(first["single"], 0.5), 2),
        "the same, pipeline, ms p50": round(percentile(first["pipeline"], 0.5), 2),
        "added by the mode, ms p50": round(added, 2),
    }


def _ask(connection: http.client.HTTPConnection, mode: str) -> tuple[float, dict]:
    message = {"role": "user", "content": json.dumps({"scripted": SCRIPT})}
    body = {"model": LAST, "messages": [message], "orchestration_mode": mode}
    asked_at = time.perf_counter()
    return asked_at, complete(connection, body)


def complete(connection: http.client.HTTPConnection, body: dict) -> dict:
    """The answer to a chat completion."""
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    completion = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(completion)
    return completion


def whole(listener: Listener, job_id: str) -> list[tuple[float, events.Event]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = listener.seen.get(job_id, [])
        if seen and isinstance(seen[-1][1], events.TERMINAL):
            return seen
        time.sleep(0.001)
    raise RuntimeError(f"{job_id} was not seen to its end")


def _first(seen: list[tuple[float, events.Event]]) -> float:
    return next(at for at, event in seen if isinstance(event, Token))


def _gaps(seen: list[tuple[float, events.Event]]) -> list[float]:
    pauses_s, ended_at = [], None
    for at, event in seen:
        if isinstance(event, StepFinished):
            ended_at = at
        elif isinstance(event, Started) and ended_at is not None:
            pauses_s.append(at - ended_at)
    return pauses_s
