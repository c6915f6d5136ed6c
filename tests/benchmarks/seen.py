"""What metrics cost: two services in turn, one that counts and is scraped, and one that does not.

Rounds alternate, and ratios and differences of the same round are compared. Both services are there
all the time; the one that is not asked does nothing.
"""

import http.client
import os
import statistics
import threading
import urllib.request

from tests.benchmarks.client import stream, together
from tests.benchmarks.processes import OTHER_CORE, pin, service

LEVEL, MAX_TOKENS = 16, 64
ROUNDS, SINGLE = 8, 12
#: Seconds between two scrapes: far more often than anybody's Prometheus.
SCRAPE_S = 1.0
#: What is switched off in the one service and on in the other.
SWITCHES = ("INFERENCE_METRICS_ENABLED",)


def body(number: int) -> dict:
    """A prompt that no cache has."""
    content = f"Number {number}: tell a story of a fox, a river and an old bridge."
    message = {"role": "user", "content": content}
    return {
        "model": "smollm2-135m",
        "messages": [message],
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }


class Scraper:
    """Scrapes one service for as long as it is entered."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ends.wait(SCRAPE_S):
            with urllib.request.urlopen(self._url, timeout=10) as answer:
                answer.read()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    off = dict.fromkeys(SWITCHES, "false")
    on = dict.fromkeys(SWITCHES, "true")
    numbers = iter(range(10**6))
    rates: dict[str, list[float]] = {"on": [], "off": []}
    firsts: dict[str, list[float]] = {"on": [], "off": []}

    def ask_many(port: int) -> float:
        took_s, streams = together(port, [body(next(numbers)) for _ in range(LEVEL)])
        return sum(answer.tokens for answer in streams) / took_s

    with service(LEVEL, **on) as seen, service(LEVEL, **off) as unseen, Scraper(seen.port):
        ports = {"on": seen.port, "off": unseen.port}
        connections = {
            name: http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            for name, port in ports.items()
        }
        for name, port in ports.items():  # warm both
            ask_many(port)
            stream(connections[name], body(next(numbers)))
        for round_ in range(ROUNDS):
            order = ("on", "off") if round_ % 2 else ("off", "on")
            for name in order:
                rates[name].append(ask_many(ports[name]))
            for _ in range(SINGLE):
                for name in order:
                    answer = stream(connections[name], {**body(next(numbers)), "max_tokens": 4})
                    firsts[name].append(answer.first_token_s * 1e3)
    ratios = [a / b for a, b in zip(rates["on"], rates["off"], strict=True)]
    added = [a - b for a, b in zip(firsts["on"], firsts["off"], strict=True)]
    return {
        f"tokens/s at {LEVEL}, on / off": [statistics.median(rates[name]) for name in ports],
        "on over off (aim 0.98)": statistics.median(ratios),
        "first token, ms, on / off": [statistics.median(firsts[name]) for name in ports],
        "added to the first token, ms (aim 0.5)": statistics.median(added),
    }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("seen", run())
