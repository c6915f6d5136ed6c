"""What being seen costs: two services in turn, one that counts and traces, and one that does not.

The one sends every span to a collector in this process and is scraped each second; in the other
both are off. Rounds alternate, and ratios and differences of the same round are compared. Both
services are there all the time; the one that is not asked does nothing.

Tokens/s are counted a second time by CPU time, of the worker, which decodes, and of all processes:
that says something on a busy machine, too. What is small beside a model's work is looked for on the
scripted engine as well, where nothing decodes: the first token, and the CPU time of a token while
16 stream at a fixed pace.
"""

import contextlib
import http.client
import json
import os
import statistics
import threading
import urllib.request

from tests.benchmarks.client import stream, together
from tests.benchmarks.processes import OTHER_CORE, Service, pin, service
from tests.support.collector import Collector

LEVEL, MAX_TOKENS, ROUNDS = 16, 64, 8
#: Pairs of requests whose first tokens are compared, and those before them.
PAIRS, WARM = 400, 40
MODEL = "smollm2-135m"
WORDS = " ".join(f"word{number}" for number in range(MAX_TOKENS))
#: Seconds between two scrapes: far more often than anybody's Prometheus.
SCRAPE_S = 1.0
OFF = {"INFERENCE_METRICS_ENABLED": "false", "OTEL_ENABLED": "false"}


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


@contextlib.contextmanager
def both(concurrency: int, **environment: str):
    """The service that is seen and the one that is not, by "on" and "off"."""
    pin(os.getpid(), OTHER_CORE)
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(Collector("grpc"))
        on = {"INFERENCE_METRICS_ENABLED": "true", **collector.settings}
        del on["OTEL_BSP_SCHEDULE_DELAY"]  # as often as by default
        seen = stack.enter_context(service(concurrency, **environment, **on))
        unseen = stack.enter_context(service(concurrency, **environment, **OFF))
        stack.enter_context(Scraper(seen.port))
        yield {"on": seen, "off": unseen}
        if not collector.spans():
            raise RuntimeError("the collector was sent no spans: nothing was measured")


class Meter:
    """The CPU time that a service takes, in seconds."""

    def __init__(self, running: Service) -> None:
        processes = running.processes()
        self._worker = processes["worker"]
        self._all = list({process.pid: process for process in processes.values()}.values())

    def read(self) -> tuple[float, float]:
        """Of its worker, and of all its processes, until now."""
        return _cpu_s(self._worker), sum(map(_cpu_s, self._all))


def _cpu_s(process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def tokens(rounds: int = ROUNDS) -> dict:
    """What it costs in tokens/s while many stream."""
    rates: dict[str, list[tuple[float, float, float]]] = {"on": [], "off": []}
    with both(LEVEL) as services:
        meters = {name: Meter(running) for name, running in services.items()}

        def ask_many(name: str) -> tuple[float, float, float]:
            worker_s, all_s = meters[name].read()
            took_s, streams = together(services[name].port, [_story(n) for n in range(LEVEL)])
            worker_ended_s, all_ended_s = meters[name].read()
            said = sum(answer.tokens for answer in streams)
            return said / took_s, said / (worker_ended_s - worker_s), said / (all_ended_s - all_s)

        for name in services:  # warm both
            ask_many(name)
        for round_ in range(rounds):
            for name in ("on", "off") if round_ % 2 else ("off", "on"):
                rates[name].append(ask_many(name))
    ratios = [
        [on / off for on, off in zip(*pair, strict=True)]
        for pair in zip(rates["on"], rates["off"], strict=True)
    ]
    by_clock, by_worker, by_all = zip(*ratios, strict=True)
    return {
        f"tokens/s at {LEVEL}, on / off": [
            statistics.median(rate for rate, *_ in rates[name]) for name in services
        ],
        "on over off (aim 0.98)": statistics.median(by_clock),
        "  for a second of CPU of the worker": statistics.median(by_worker),
        "  for a second of CPU of all processes": statistics.median(by_all),
        "  all rounds, by CPU of the worker": sorted(by_worker),
    }


def cpu_of_a_token(rounds: int = ROUNDS) -> dict:
    """The CPU time that a token takes beside decoding, while many stream at a fixed pace."""
    used: dict[str, list[tuple[float, float]]] = {"on": [], "off": []}
    with both(LEVEL, INFERENCE_BACKEND="scripted") as services:
        meters = {name: Meter(running) for name, running in services.items()}

        def ask_many(name: str) -> tuple[float, float]:
            before = meters[name].read()
            _, streams = together(services[name].port, [_scripted(WORDS, 40) for _ in range(LEVEL)])
            said = sum(answer.tokens for answer in streams)
            spent = zip(meters[name].read(), before, strict=True)
            worker_ms, all_ms = ((after - then) * 1e3 / said for after, then in spent)
            return worker_ms, all_ms

        for name in services:
            ask_many(name)
        for round_ in range(rounds):
            for name in ("on", "off") if round_ % 2 else ("off", "on"):
                used[name].append(ask_many(name))
    result = {}
    for part, what in enumerate(("the worker", "all processes")):
        on, off = ([spent[part] for spent in used[name]] for name in ("on", "off"))
        added = statistics.median(a - b for a, b in zip(on, off, strict=True))
        result[f"CPU of {what} for a token beside decoding, ms, on / off / added"] = [
            statistics.median(on),
            statistics.median(off),
            added,
        ]
    return result


def first_token(pairs: int = PAIRS) -> dict:
    """What it adds to the first token, alone."""
    firsts: dict[str, list[float]] = {"on": [], "off": []}
    cpu: dict[str, float] = {}
    with both(1, INFERENCE_BACKEND="scripted") as services:
        meters = {name: Meter(running) for name, running in services.items()}
        connections = {
            name: http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
            for name, running in services.items()
        }
        for pair in range(WARM + pairs):
            if pair == WARM:
                cpu = {name: meter.read()[1] for name, meter in meters.items()}
            for name in ("on", "off") if pair % 2 else ("off", "on"):
                answer = stream(connections[name], _scripted("a few words", 10**6))
                if pair >= WARM:
                    firsts[name].append(answer.first_token_s * 1e3)
        cpu = {name: (meter.read()[1] - cpu[name]) * 1e3 / pairs for name, meter in meters.items()}
    added = [on - off for on, off in zip(firsts["on"], firsts["off"], strict=True)]
    return {
        "first token, scripted, ms, on / off": [statistics.median(firsts[n]) for n in services],
        "added to the first token, pairwise, ms (aim 0.5)": statistics.median(added),
        "CPU of all processes for a request, ms, on / off": [cpu[name] for name in services],
    }


def _story(number: int) -> dict:
    """One of a few prompts: they have been read in the first round, and decoding is left."""
    content = f"Number {number}: tell a story of a fox, a river and an old bridge."
    return _body(content, MAX_TOKENS)


def _scripted(text: str, tokens_per_s: float) -> dict:
    script = {"text": text, "tokens_per_s": tokens_per_s}
    return _body(json.dumps({"scripted": script}), MAX_TOKENS)


def _body(content: str, max_tokens: int) -> dict:
    message = {"role": "user", "content": content}
    return {"model": MODEL, "messages": [message], "temperature": 0, "max_tokens": max_tokens}


def run() -> dict:
    return {**tokens(), **cpu_of_a_token(), **first_token()}


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("seen", run())
