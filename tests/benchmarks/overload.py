"""Ten times more than the service can answer: how fast it refuses, and what becomes of the rest."""

import http.client
import json
import os
import queue
import threading
import time

from tests.benchmarks.processes import OTHER_CORE, percentile, pin, service

CONCURRENCY = 8
#: Each answer takes half a second: 16 a second are what it can give.
SCRIPT = {"text": "a b c d e f g h i j k l m n o p q r s t", "tokens_per_s": 40}
CAPACITY_PER_S = CONCURRENCY * 2
LOAD_S = 15
CLIENTS = 96


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    content = json.dumps({"scripted": SCRIPT})
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": content}]}
    raw = json.dumps(body).encode()
    due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    seen: list[tuple[int, float, bytes, str | None]] = []

    with service(
        concurrency=CONCURRENCY,
        INFERENCE_BACKEND="scripted",
        INFERENCE_MAX_CONCURRENT_REQUESTS=str(2 * CONCURRENCY),
    ) as running:

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
            while due.get() is not None:
                began = time.perf_counter()
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/v1/chat/completions", raw, headers)
                answer = connection.getresponse()
                text = answer.read()
                took_ms = (time.perf_counter() - began) * 1e3
                seen.append((answer.status, took_ms, text, answer.getheader("Retry-After")))

        clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        offered = 10 * CAPACITY_PER_S * LOAD_S
        begun = time.perf_counter()
        for number in range(offered):
            pause = begun + number / (10 * CAPACITY_PER_S) - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            due.put(0.0)
        for _ in clients:
            due.put(None)
        for client in clients:
            client.join()
        took_s = time.perf_counter() - begun
    refused = [took for status, took, _, _ in seen if status == 503]
    answered = [json.loads(text) for status, _, text, _ in seen if status == 200]
    whole = [a for a in answered if a["choices"][0]["message"]["content"] == SCRIPT["text"]]
    return {
        "offered, each second": offered / took_s,
        "answered, each second (capacity 16)": len(answered) / took_s,
        "accepted and not answered whole (aim 0)": len(seen) - len(refused) - len(whole),
        "refusals": len(refused),
        "refusals without Retry-After": sum(
            1 for status, _, _, retry in seen if status == 503 and not retry
        ),
        "refusals, ms p50 / p99 (aim 50)": [percentile(refused, 0.5), percentile(refused, 0.99)],
    }
