"""What the length of the queue costs: putting a job in and taking one out, at growing lengths."""

import http.client
import json
import os
import time

from redis import Redis

from tests.benchmarks.processes import OTHER_CORE, percentile, pin, service
from workers.store import embedded

LENGTHS = (100, 1_000, 10_000)
MEASURED = 300
MODEL = "smollm2-135m"


def _body(script: dict, priority: int = 2) -> bytes:
    content = json.dumps({"scripted": script})
    message = {"role": "user", "content": content}
    return json.dumps({"model": MODEL, "messages": [message], "priority": priority}).encode()


BLOCKER = _body({"repeat": True, "tokens_per_s": 10}, priority=3)
SHORT = _body({"text": "x"})


class _Client:
    def __init__(self, port: int, redis: Redis) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._redis = redis

    def submit(self, raw: bytes = SHORT) -> str:
        self._connection.request("POST", "/v1/jobs", raw, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 202:
            raise RuntimeError(body)
        return body["id"]

    def cancel(self, job_id: str) -> None:
        self._connection.request("DELETE", f"/v1/jobs/{job_id}")
        self._connection.getresponse().read()

    def waiting(self) -> int:
        return self._redis.zcard(f"inference:waiting:{MODEL}")

    def block(self) -> str:
        """Take the one worker; returns when it is taken."""
        job_id = self.submit(BLOCKER)
        while self._redis.hget(f"inference:job:{job_id}", "state") != b"running":
            time.sleep(0.005)
        return job_id

    def taken_at_ms(self, job_ids: list[str]) -> list[int]:
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(f"inference:job:{job_id}", "answer:taken_ms")
            return sorted(int(raw) for raw in pipe.execute() if raw is not None)


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    put_ms, take_ms = [], []
    most = {"INFERENCE_MAX_QUEUED_JOBS": "100000", "INFERENCE_BACKEND": "scripted"}
    with service(concurrency=1, **most) as running:
        client = _Client(running.port, Redis.from_url(embedded.url(running.data_dir)))
        blocker = client.block()
        ids: list[str] = []
        for length in LENGTHS:
            while client.waiting() < length:
                ids.append(client.submit())
            took = []
            for _ in range(MEASURED):
                began = time.perf_counter()
                ids.append(client.submit())
                took.append((time.perf_counter() - began) * 1e3)
            put_ms.append(percentile(took, 0.5))
            before = client.waiting()
            client.cancel(blocker)
            while before - client.waiting() < min(MEASURED, length):
                time.sleep(0.05)
            blocker = client.block()
            taken = client.taken_at_ms(ids)[-min(MEASURED, length) :]
            take_ms.append((taken[-1] - taken[0]) / (len(taken) - 1))
        client.cancel(blocker)
    lengths = " / ".join(str(length) for length in LENGTHS)
    return {
        f"put in, ms p50, at {lengths} waiting": put_ms,
        "longest over shortest (aim 1.2)": max(put_ms) / min(put_ms),
        f"taken, answered and ended, ms each, at {lengths}": take_ms,
        "the same (aim 1.2)": max(take_ms) / min(take_ms),
    }
