"""The service on vLLM, beside bare `AsyncLLM` and vLLM's own OpenAI server.

`make bench-vllm` runs it, in the environment of `make test-vllm`. One run, the same prompts,
weights and options. The process that decodes (vLLM's worker) has one core and one thread;
everything else, vLLM's EngineCore and this load generator included, has the other. Rounds
alternate between the three; medians are compared.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.benchmarks import client
from tests.benchmarks.batching import MAX_TOKENS
from tests.benchmarks.client import stream
from tests.benchmarks.processes import (
    DECODE_CORE,
    OTHER_CORE,
    free_port,
    percentile,
    pin,
    service,
)

MODEL = "smollm2-135m"
LEVELS, SERVER_LEVELS = (1, 8, 16), (1, 8, 16, 32)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
#: Pairs of single requests, bare and through the service, whose first tokens are compared.
PAIRS = 20
#: vLLM's worker spins on its core for a second after its last step, and all three have the same:
#: before each turn the one before must have come to rest.
REST_S = 1.5
#: What all three give vLLM.
OPTIONS = {"max_model_len": 8192, "kv_cache_memory_bytes": 2**30}
ENGINE_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


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


def together(port: int, asked: list[str]) -> float:
    """Tokens/s of requests that start together."""
    took_s, streams = client.together(port, [body(content) for content in asked])
    return sum(answer.tokens for answer in streams) / took_s


def pin_tree(pid: int) -> None:
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        pin(process.pid, DECODE_CORE if process.name() == "VLLM::Worker" else OTHER_CORE)


@contextlib.contextmanager
def ended(process: subprocess.Popen):
    """Whatever it started ends with it."""
    try:
        yield process
    finally:
        for started in [*psutil.Process(process.pid).children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                started.kill()
        process.wait(30)


@contextlib.contextmanager
def bare(model: Path):
    """Bare `AsyncLLM`; yields a function that runs an order."""
    command = [sys.executable, "-m", "tests.benchmarks.bare_vllm", str(model)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with ended(process):
        json.loads(process.stdout.readline())
        pin_tree(process.pid)

        def ask(asked: list[str], max_tokens: int = MAX_TOKENS) -> dict:
            order = json.dumps({"contents": asked, "max_tokens": max_tokens})
            process.stdin.write(order + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask


@contextlib.contextmanager
def vllm_server(model: Path):
    """vLLM's OpenAI server; yields its port."""
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", MODEL, "--port", str(port), "--host", "127.0.0.1"]
    command += ["--max-num-seqs", str(max(SERVER_LEVELS))]
    for name, value in OPTIONS.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(
        command, env={**os.environ, **ENGINE_ENVIRONMENT}, stdout=subprocess.DEVNULL
    )
    with ended(process):
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                pin_tree(process.pid)
                yield port
                return
            time.sleep(0.5)
        raise RuntimeError("vLLM's server did not start")


@contextlib.contextmanager
def our_service(models_dir: Path):
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "models").mkdir()
        options = "".join(f"  {name}: {value}\n" for name, value in OPTIONS.items())
        (Path(directory) / "models" / f"{MODEL}.yaml").write_text(
            f"id: {MODEL}\ncontext_length: 8192\noptions:\n{options}"
        )
        environment = {
            "INFERENCE_BACKEND": "vllm",
            "INFERENCE_MODELS_DIR": str(models_dir),
            "INFERENCE_CATALOGUE_DIR": directory,
        }
        with service(max(LEVELS), pinned=False, **environment) as running:
            for process in running.processes().values():
                pin_tree(process.pid)
            pin_tree(running.pid)
            yield running


def run() -> dict:
    models_dir = Path(os.environ.get("VLLM_TEST_MODELS", ".venv-vllm/models")).resolve()
    model = models_dir / MODEL
    rates: dict[tuple[str, int], list[float]] = {}
    added, first_bare, first_ours = [], [], []

    def note(name: str, level: int, turn: Callable[[], float]) -> None:
        time.sleep(REST_S)
        rates.setdefault((name, level), []).append(turn())

    with our_service(models_dir) as running, bare(model) as ask, vllm_server(model) as port:
        pin(os.getpid(), OTHER_CORE)
        for warm in (2, 16):  # every shape once
            ask(contents(99, warm), 8)
            together(running.port, contents(99, warm))
            together(port, contents(99, warm))
        for round_ in range(ROUNDS):
            for level in SERVER_LEVELS:
                asked = contents(round_ * 100 + level, level)
                if level in LEVELS:
                    note("bare", level, lambda asked=asked: ask(asked)["rate"])
                    note("service", level, lambda asked=asked: together(running.port, asked))
                note("server", level, lambda asked=asked: together(port, asked))
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
        for content in contents(7, PAIRS):
            time.sleep(REST_S)
            first_bare.append(ask([content], 4)["first_token_s"] * 1e3)
            time.sleep(REST_S)
            first_ours.append(stream(connection, body(content, 4)).first_token_s * 1e3)
            added.append(first_ours[-1] - first_bare[-1])

    def median(name: str, level: int) -> float:
        return statistics.median(rates[name, level])

    result = {
        f"tokens/s at {level}, bare / service / vLLM's server": [
            median("bare", level),
            median("service", level),
            median("server", level),
        ]
        for level in LEVELS
    }
    result["tokens/s at 32, vLLM's server"] = median("server", 32)
    for level in LEVELS:
        pairs = zip(rates["service", level], rates["bare", level], strict=True)
        result[f"service over bare at {level} (aim 0.95)"] = statistics.median(
            ours / alone for ours, alone in pairs
        )
        peers = zip(rates["service", level], rates["server", level], strict=True)
        result[f"service over vLLM's server at {level} (aim 1 at 8 and 16)"] = statistics.median(
            ours / its for ours, its in peers
        )
    result["first token at 1, bare / service, ms p50"] = [
        percentile(first_bare, 0.5),
        percentile(first_ours, 0.5),
    ]
    result["added to the first token at 1, ms p50 / p90 (aim 6 p50)"] = [
        percentile(added, 0.5),
        percentile(added, 0.9),
    ]
    return result


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("vllm", run())
