"""Tokens/s of many requests at once: the service, a bare batch, llama-cpp-python's server.

One run, the same prompts, the same Q8_0 file. The process that decodes has one core and one engine
thread; everything else has the other. All requests of a round start together, and its tokens/s are
counted from the first request sent to the last answer ended, prompts included. Rounds alternate;
medians are compared.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from itertools import pairwise

from tests.benchmarks.client import Stream, stream
from tests.benchmarks.processes import DECODE_CORE, OTHER_CORE, free_port, percentile, pin, service

MODEL = "smollm2-135m"
LEVELS = (1, 4, 8, 16)
PEER_LEVELS = (1, 8)
MAX_TOKENS = 64
ROUNDS = 3


def contents(round_: int, count: int) -> list[str]:
    return [
        f"{round_}-{i}: tell a story of a fox who crosses a river by an old bridge every evening, "
        "of what it sees there, and of the night the bridge was gone."
        for i in range(count)
    ]


def body(content: str, max_tokens: int = MAX_TOKENS) -> dict:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": max_tokens,
    }


def together(port: int, asked: list[str]) -> tuple[float, list[Stream]]:
    """Tokens/s of requests that start together, and their streams."""
    streams: list[Stream | None] = [None] * len(asked)
    start = threading.Barrier(len(asked) + 1)

    def ask_one(i: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        start.wait()
        streams[i] = stream(connection, body(asked[i]))
        connection.close()

    threads = [threading.Thread(target=ask_one, args=(i,)) for i in range(len(asked))]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    done = [answer for answer in streams if answer is not None]
    return sum(answer.tokens for answer in done) / took, done


@contextlib.contextmanager
def peer(path: str):
    """llama-cpp-python's own server on the same file; yields its port, or None without it."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", path, "--port", str(port)]
    command += ["--n_ctx", "8192", "--n_threads", "1", "--n_threads_batch", "1"]
    server = subprocess.Popen(
        [*command, "--model_alias", MODEL], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                pin(server.pid, DECODE_CORE)
                yield port
                return
            time.sleep(0.2)
        yield None
    finally:
        server.terminate()
        server.wait(30)


def measure_peer(port: int, level: int) -> tuple[float, int]:
    """Its tokens/s over whole (not streamed) answers, and how many failed."""
    asked = contents(900 + level, level)
    tokens: list[int] = []
    failed: list[str] = []

    def ask_one(content: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        try:
            raw = json.dumps(body(content)).encode()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", raw, headers)
            answer = json.load(connection.getresponse())
            tokens.append(answer["usage"]["completion_tokens"])
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            failed.append(repr(error))

    began = time.perf_counter()
    threads = [threading.Thread(target=ask_one, args=(content,)) for content in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(tokens) / (time.perf_counter() - began), len(failed)


def gaps_while_a_long_prompt_arrives(port: int) -> list[float]:
    """Seconds between the tokens of a running stream around the arrival of 4,000 tokens."""
    ended = threading.Event()
    gaps: list[float] = []

    def run() -> None:
        """Streams without a break, so that one runs for as long as the prompt is read."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while not ended.is_set():
            answer = stream(connection, body("Tell a story of the sea that has no end.", 400))
            gaps.extend(later - earlier for earlier, later in pairwise(answer.arrivals_s))

    running = threading.Thread(target=run)
    running.start()
    time.sleep(1.0)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    stream(connection, body("word " * 4000, 4))
    ended.set()
    running.join()
    return gaps


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    bare_rates: dict[int, list[float]] = {level: [] for level in LEVELS}
    rates: dict[int, list[float]] = {level: [] for level in LEVELS}
    cut = 0
    with (
        tempfile.TemporaryDirectory() as cache,
        service(concurrency=max(LEVELS)) as running,
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bare_batch", cache],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as bare,
    ):
        path = json.loads(bare.stdout.readline())["file"]
        together(running.port, contents(99, 2))
        for round_ in range(ROUNDS):
            for level in LEVELS:
                asked = contents(round_ * 100 + level, level)
                order = json.dumps({"contents": asked, "max_tokens": MAX_TOKENS})
                bare.stdin.write(order + "\n")
                bare.stdin.flush()
                alone = json.loads(bare.stdout.readline())
                bare_rates[level].append(alone["tokens"] / alone["seconds"])
                rate, streams = together(running.port, asked)
                rates[level].append(rate)
                cut += sum(answer.finish_reason is None for answer in streams)
        gaps = gaps_while_a_long_prompt_arrives(running.port)
        bare.stdin.close()
        bare.wait()
        result = {
            f"tokens/s at {level}, bare / service / service over bare": [
                statistics.median(bare_rates[level]),
                statistics.median(rates[level]),
                statistics.median(
                    s / b for s, b in zip(rates[level], bare_rates[level], strict=True)
                ),
            ]
            for level in LEVELS
        }
        at_one, most = statistics.median(rates[1]), statistics.median(rates[16])
        result["service at 16 over service at 1 (aim 2.0)"] = most / at_one
        result["streams cut"] = cut
        result["gap between tokens beside a 4,000-token prompt, s p99 / max (aim 0.5)"] = [
            percentile(gaps, 0.99),
            max(gaps),
        ]
        with peer(path) as port:
            if port is None:
                result["llama-cpp-python's server"] = "not installed (extra: bench)"
                return result
            measure_peer(port, 1)
            for level in PEER_LEVELS:
                peers, ours = [], []
                for round_ in range(2):
                    rate, failed = measure_peer(port, level)
                    peers.append(rate)
                    ours.append(together(running.port, contents(800 + round_, level))[0])
                name = f"tokens/s at {level}, its server / service / service over its server"
                its, own = statistics.median(peers), statistics.median(ours)
                result[name] = [its, own, own / its]
                result[f"answers its server failed at {level}"] = failed
    return result


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("batching", run())
