"""First token and tokens/s through the service, beside the bare engine in the same run.

Concurrency 1. The process that decodes (bare engine or worker) has one core and one engine thread;
everything else, this load generator included, has the other core, in both runs. Rounds alternate,
medians are compared: machines drift.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys

from tests.benchmarks.client import stream
from tests.benchmarks.processes import OTHER_CORE, percentile, pin, service

MAX_TOKENS = 32
PER_ROUND, ROUNDS = 20, 3


def prompts(round_: int) -> list[str]:
    """The same for both; the number comes early, so that the cached prefix ends before it."""
    return [
        f"Number {round_ * PER_ROUND + i}: write a story of a fox, a river and an old bridge."
        for i in range(PER_ROUND)
    ]


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    bare_first, bare_rate, first, rate = [], [], [], []
    with (
        service(concurrency=1) as running,
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bare_engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as bare,
    ):
        memory = json.loads(bare.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)

        def ask_bare(content: str) -> dict:
            bare.stdin.write(json.dumps({"content": content, "max_tokens": MAX_TOKENS}) + "\n")
            bare.stdin.flush()
            return json.loads(bare.stdout.readline())

        def ask_service(content: str):
            body = {
                "model": "smollm2-135m",
                "messages": [{"role": "user", "content": content}],
                "temperature": 0,
                "max_tokens": MAX_TOKENS,
            }
            return stream(connection, body)

        for content in prompts(ROUNDS):  # warm both
            ask_bare(content)
            ask_service(content)
        for round_ in range(ROUNDS):
            bare_rates, rates = [], []
            for content in prompts(round_):
                alone = ask_bare(content)
                bare_first.append(alone["first_token_s"] * 1e3)
                bare_rates.append(
                    (alone["tokens"] - 1) / (alone["total_s"] - alone["first_token_s"])
                )
                through = ask_service(content)
                first.append(through.first_token_s * 1e3)
                rates.append((through.tokens - 1) / (through.total_s - through.first_token_s))
            bare_rate.append(statistics.median(bare_rates))
            rate.append(statistics.median(rates))
        rss = {
            name: process.memory_info().rss / 2**20 for name, process in running.processes().items()
        }
        bare.stdin.close()
    added = [through - alone for through, alone in zip(first, bare_first, strict=True)]
    model_mb = memory["model"] / 2**20
    return {
        "first token, bare engine, ms p50 / p99": [
            percentile(bare_first, 0.5),
            percentile(bare_first, 0.99),
        ],
        "first token, service, ms p50 / p99": [percentile(first, 0.5), percentile(first, 0.99)],
        "added to the first token, ms p50 / p99 (aim 5 / 12)": [
            percentile(added, 0.5),
            percentile(added, 0.99),
        ],
        "tokens/s, bare / service": [statistics.median(bare_rate), statistics.median(rate)],
        "service over bare": statistics.median(
            through / alone for through, alone in zip(rate, bare_rate, strict=True)
        ),
        "memory, web / worker above the model, MB (aim 150)": [
            rss["web server"],
            rss["worker"] - model_mb,
        ],
    }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("main job", run())
