"""500 readers of 500 jobs: how long after Redis has an event its reader has it."""

import asyncio
import http.client
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from redis import Redis

from tests.benchmarks.processes import percentile, service
from workers.store import embedded

READERS = 500
TOKENS = 60
TOKENS_PER_S = 5
SCRIPT = {"text": " ".join(f"w{n}" for n in range(TOKENS)), "tokens_per_s": TOKENS_PER_S}


def _watch(url: str, pipe: Connection) -> None:
    """When each event was published: a process that does nothing else."""
    published = {}
    pubsub = Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe("inference:job:*:live")
    while not pipe.poll():
        message = pubsub.get_message(timeout=0.5)
        if message is not None:
            now = time.monotonic()
            job_id = message["channel"].decode().split(":")[2]
            seq = int(message["data"].split(b",", 1)[0].split(b":")[1])
            published[job_id, seq] = now
    pipe.send(published)


async def _read(port: int, job_id: str, seen: dict[tuple[str, int], float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    ended = False
    async for line in reader:
        now = time.monotonic()
        if line.startswith(b"id: "):
            seen[job_id, int(line[4:])] = now
        elif line.startswith(b"event: completed"):
            ended = True
        elif ended and line.startswith(b"data: "):
            break
    writer.close()


async def _read_all(port: int, ids: list[str]) -> dict[tuple[str, int], float]:
    seen: dict[tuple[str, int], float] = {}
    await asyncio.gather(*(_read(port, job_id, seen) for job_id in ids))
    return seen


def run() -> dict:
    content = json.dumps({"scripted": SCRIPT})
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": content}]}
    raw = json.dumps(body).encode()
    with service(
        concurrency=READERS, pinned=False, INFERENCE_BACKEND="scripted", INFERENCE_WEB_THREADS="640"
    ) as running:
        ours, theirs = multiprocessing.Pipe()
        url = embedded.url(running.data_dir)
        watcher = multiprocessing.get_context("spawn").Process(target=_watch, args=(url, theirs))
        watcher.start()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        ids = []
        for _ in range(READERS):
            connection.request("POST", "/v1/jobs", raw, {"Content-Type": "application/json"})
            ids.append(json.loads(connection.getresponse().read())["id"])
        begun = time.monotonic()
        seen = asyncio.run(_read_all(running.port, ids))
        ours.send("end")
        published = ours.recv()
        watcher.join()
        redis = Redis.from_url(url)
        lost = sum(int(redis.hget(f"inference:job:{job_id}", "seq")) for job_id in ids) - len(seen)
    # What was published before its reader was there is no delivery.
    settled = begun + 3
    delays = [
        (at - published[key]) * 1e3
        for key, at in seen.items()
        if key in published and published[key] > settled
    ]
    return {
        "readers": READERS,
        "events": len(seen),
        "events lost (aim 0)": lost,
        "deliveries timed": len(delays),
        "delivery, ms p50 / p99 (aim 50)": [percentile(delays, 0.5), percentile(delays, 0.99)],
    }
