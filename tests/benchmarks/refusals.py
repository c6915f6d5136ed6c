"""How long bad input waits for its refusal while the model is busy with every place it has."""

import http.client
import json
import os
import threading
import time

from tests.benchmarks.client import stream
from tests.benchmarks.processes import OTHER_CORE, percentile, pin, service

CONCURRENCY = 4
PER_KIND = 100
MESSAGES = [{"role": "user", "content": "Count slowly from one to a thousand."}]
BODY = {"model": "smollm2-135m", "messages": MESSAGES}
BAD = {
    "malformed JSON": (b'{"model": ', 400),
    "wrong field": (json.dumps({**BODY, "temperature": "hot"}).encode(), 422),
    "unknown model": (json.dumps({**BODY, "model": "nobody"}).encode(), 404),
    "not supported": (json.dumps({**BODY, "n": 3}).encode(), 400),
}


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    took_ms: dict[str, list[float]] = {kind: [] for kind in (*BAD, "GET /health")}
    ending = threading.Event()
    with service(concurrency=CONCURRENCY) as running:

        def keep_busy() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=300)
            while not ending.is_set():
                stream(connection, {**BODY, "max_tokens": 64})

        busy = [threading.Thread(target=keep_busy) for _ in range(2 * CONCURRENCY)]
        for thread in busy:
            thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        time.sleep(2)
        for _ in range(PER_KIND):
            for kind, (raw, status) in BAD.items():
                began = time.perf_counter()
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/v1/chat/completions", raw, headers)
                answer = connection.getresponse()
                answer.read()
                took_ms[kind].append((time.perf_counter() - began) * 1e3)
                if answer.status != status:
                    raise RuntimeError(f"{kind}: {answer.status} instead of {status}")
            began = time.perf_counter()
            connection.request("GET", "/health")
            connection.getresponse().read()
            took_ms["GET /health"].append((time.perf_counter() - began) * 1e3)
        ending.set()
        for thread in busy:
            thread.join()
    return {
        f"{kind}, ms p50 / p99 (aim 100)": [percentile(took, 0.5), percentile(took, 0.99)]
        for kind, took in took_ms.items()
    }
