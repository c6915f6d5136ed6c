"""Those who decode the same requests: a bare batch, the service, llama-server's core.

Each decodes in one process with one engine thread on a core of its own. A round's wall-clock time
counts from the first request sent to the last answer ended, prompts included. Its CPU time is that
of the decoding process: what it compares stays true on a machine that others use too.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.client import together
from tests.benchmarks.processes import Service, free_port

#: A conversation of one system text and one question.
Asked = tuple[str, str]


@dataclass(frozen=True)
class Round:
    """Requests that started together."""

    tokens: int
    wall_s: float
    cpu_s: float
    #: When the first token of each came.
    first_s: tuple[float, ...] = ()
    #: Streams that ended without a finish reason.
    cut: int = 0

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.wall_s

    @property
    def tokens_per_cpu_s(self) -> float:
        return self.tokens / self.cpu_s

    @property
    def first_token_s(self) -> float:
        return statistics.median(self.first_s)


class BareBatch:
    """`bare_batch.py` on a file of weights."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bare_batch", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process.stdout.readline()

    def run(self, asked: list[Asked], max_tokens: int) -> Round:
        self._process.stdin.write(json.dumps({"asked": asked, "max_tokens": max_tokens}) + "\n")
        self._process.stdin.flush()
        return Round(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()


class OverHttp:
    """A server of OpenAI's API, whose decoding process is known."""

    def __init__(self, port: int, decoding: psutil.Process, model: str, **extra) -> None:
        """`extra`: more fields of each request."""
        self.port = port
        self._decoding = decoding
        self._model = model
        self._extra = extra

    def body(self, asked: Asked, max_tokens: int) -> dict:
        system, question = asked
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return {
            "model": self._model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": max_tokens,
            **self._extra,
        }

    def run(self, asked: list[Asked], max_tokens: int) -> Round:
        bodies = [self.body(each, max_tokens) for each in asked]
        before_s = self._cpu_s()
        wall_s, done = together(self.port, bodies)
        return Round(
            sum(answer.tokens for answer in done),
            wall_s,
            self._cpu_s() - before_s,
            tuple(answer.first_token_s for answer in done),
            len(asked) - sum(answer.finish_reason is not None for answer in done),
        )

    def _cpu_s(self) -> float:
        times = self._decoding.cpu_times()
        return times.user + times.system


def of_service(running: Service, model: str, **extra) -> OverHttp:
    """A running service."""
    return OverHttp(running.port, running.processes()["worker"], model, **extra)


@contextlib.contextmanager
def llama_server(path: Path, slots: int):
    """llama-server's core on a file of weights; None where `xllamacpp` is not installed."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.llama_server", str(path), str(port), str(slots)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _ready(server, port)
    finally:
        server.terminate()
        server.wait(30)


def _ready(server: subprocess.Popen, port: int) -> OverHttp | None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return OverHttp(port, psutil.Process(server.pid), "peer")
        time.sleep(0.2)
    return None
