"""Embeddings a second: the service over the bare library, at one text and at 32.

With sentence-transformers installed (`make bench-embeddings`) the model is all-minilm-l6-v2, else a
GGUF of its shape with random weights on llama.cpp. The bare library and the service's worker each
compute on the same core with one thread, and take turns; the service is asked over HTTP, for
base64, as the official client asks. At 32: by one caller in one request, and by 32 callers at the
same moment, with one text each.
"""

import contextlib
import http.client
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from presets.catalogue import Catalogue
from tests.benchmarks.client import seconds_at_once
from tests.benchmarks.processes import service
from tests.support import embedding_model

ROUNDS, MANY, AIM = 9, 32, 0.95
#: Texts of a round at one: so that it takes about as long as the other rounds.
FEW = 16
_WORDS = ("harbour", "approved", "units", "the", "of", "pump", "failed", "log", "week", "nothing")


def run() -> dict:
    with contextlib.ExitStack() as closing:
        models = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        model, path, words = _model(models)
        settings = {"INFERENCE_MODELS_DIR": str(models), "INFERENCE_PRELOAD_MODELS": model}
        running = closing.enter_context(service(MANY, **settings))
        process, bare = closing.enter_context(_bare(path))
        parts = running.processes()
        worker = parts.pop("worker")
        cpu = _CpuTimes({"bare": [process], "worker": [worker], "the rest": [*parts.values()]})
        return _measure(bare, _Asker(running.port, model), words, cpu)


def _model(directory: Path) -> tuple[str, Path, int]:
    """The model's id, its files, and how many words make about 30 tokens."""
    if importlib.util.find_spec("sentence_transformers") is None:
        shape = {"layers": 6, "width": 384, "feed_forward": 1536, "heads": 12, "context": 512}
        return "minilm", embedding_model.write(directory / "minilm.gguf", **shape), 6
    spec = Catalogue.load(None, "llamacpp").get("all-minilm-l6-v2")
    return spec.id, spec.path, 28


@contextlib.contextmanager
def _bare(path: Path):
    command = [sys.executable, "-m", "tests.benchmarks.bare_embeddings", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise RuntimeError("the bare library did not start")

    def embed(texts: list[str]) -> float:
        process.stdin.write(json.dumps(texts) + "\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    yield psutil.Process(process.pid), embed
    process.stdin.close()
    process.wait(30)


class _CpuTimes:
    """Milliseconds of CPU that the processes of each group take for a measurement: on a machine
    with other things to do they say more than the clock.
    """

    def __init__(self, groups: dict[str, list[psutil.Process]]) -> None:
        self._groups = groups

    def now(self) -> dict[str, float]:
        return {
            name: sum(1000 * sum(each.cpu_times()[:2]) for each in group)
            for name, group in self._groups.items()
        }


class _Asker:
    """Callers of the service, each with a connection of its own."""

    def __init__(self, port: int, model: str) -> None:
        self._model = model
        self._connections = [
            http.client.HTTPConnection("127.0.0.1", port, timeout=600) for _ in range(MANY)
        ]

    def embed(self, texts: list[str], caller: int = 0) -> float:
        """Seconds of one request."""
        body = {"model": self._model, "input": texts, "encoding_format": "base64"}
        began = time.perf_counter()
        connection = self._connections[caller]
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/embeddings", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        made = json.loads(answer.read())
        if answer.status != 200 or len(made["data"]) != len(texts):
            raise RuntimeError(f"{answer.status}: {made}")
        return time.perf_counter() - began

    def together(self, texts: list[str]) -> float:
        """Seconds from the first of as many requests as texts to the end of the last."""
        return seconds_at_once(len(texts), lambda caller: self.embed([texts[caller]], caller))


def _measure(bare, asker: _Asker, words: int, cpu: _CpuTimes) -> dict:
    source = random.Random(1)

    def texts(count: int) -> list[str]:
        return [" ".join(source.choices(_WORDS, k=words)) for _ in range(count)]

    def one_by_one(embed) -> float:
        return sum(embed([text]) for text in texts(FEW))

    measures = {
        "bare at 1": (FEW, lambda: one_by_one(bare)),
        "service at 1": (FEW, lambda: one_by_one(asker.embed)),
        f"bare at {MANY}": (MANY, lambda: bare(texts(MANY))),
        f"service at {MANY}, in one request": (MANY, lambda: asker.embed(texts(MANY))),
        f"service at {MANY}, by as many callers": (MANY, lambda: asker.together(texts(MANY))),
    }
    asker.together(texts(MANY))
    rates: dict[str, list[float]] = {name: [] for name in measures}
    spent = {name: dict.fromkeys(cpu.now(), 0.0) for name in measures}
    for _ in range(ROUNDS):
        for name, (count, measure) in measures.items():
            before = cpu.now()
            rates[name].append(count / measure())
            for part, ms in cpu.now().items():
                spent[name][part] += (ms - before[part]) / (count * ROUNDS)
    result: dict[str, object] = {}
    for name, each in rates.items():
        parts = ["bare"] if name.startswith("bare") else ["worker", "the rest"]
        result[f"{name}: embeddings/s"] = statistics.median(each)
        result[f"{name}: ms of CPU each, {' / '.join(parts)}"] = [spent[name][p] for p in parts]
        if not name.startswith("bare"):
            beside = rates["bare at 1" if name == "service at 1" else f"bare at {MANY}"]
            pairs = [ours / theirs for ours, theirs in zip(each, beside, strict=True)]
            result[f"{name}: over bare (aim {AIM})"] = statistics.median(pairs)
    return result
