"""A load generator that costs little: one connection, lines as they come."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stream:
    """One streamed answer, as its client saw it. Times in seconds since the request was sent."""

    first_token_s: float
    total_s: float
    tokens: int
    finish_reason: str | None
    #: When each frame with text came.
    arrivals_s: tuple[float, ...]


def stream(connection: http.client.HTTPConnection, body: dict) -> Stream:
    """Send one request and read its stream to the end."""
    raw = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()
    headers = {"Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", raw, headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read()!r}")
    arrivals, usage, reason = [], {}, None
    for line in answer:
        if line.startswith(b"data: {"):
            now = time.perf_counter() - began
            frame = json.loads(line[6:])
            if "error" in frame:
                raise RuntimeError(str(frame["error"]))
            usage = frame.get("usage") or usage
            for choice in frame["choices"]:
                reason = choice["finish_reason"] or reason
                if choice["delta"].get("content"):
                    arrivals.append(now)
    total = time.perf_counter() - began
    if not arrivals:
        raise RuntimeError(f"no text came, and the answer ended by {reason}")
    return Stream(arrivals[0], total, usage["completion_tokens"], reason, tuple(arrivals))


def seconds_at_once(count: int, ask: Callable[[int], object]) -> float:
    """Seconds from when so many threads begin with `ask(number)` to the end of the last."""
    start = threading.Barrier(count + 1)

    def begin(number: int) -> None:
        start.wait()
        ask(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def together(port: int, bodies: list[dict]) -> tuple[float, list[Stream]]:
    """Requests that start together: seconds from the first sent to the last ended, and streams."""
    streams: list[Stream | None] = [None] * len(bodies)

    def ask_one(i: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        streams[i] = stream(connection, bodies[i])
        connection.close()

    took_s = seconds_at_once(len(bodies), ask_one)
    return took_s, [answer for answer in streams if answer is not None]
