"""The semantic cache: how long a lookup takes among many, and a hit over the answer itself.

The model that embeds has the shape of all-MiniLM-L6-v2 and random weights: it takes as long, and a
question that is asked again is found by its own vector. All entries are in one scope, which is the
worst case: the words of a question leave few to compare.
"""

import http.client
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.benchmarks.processes import service
from tests.support import embedding_model
from tests.support.front_end import MODEL
from tests.support.valkey import Valkey
from workers.caches.cache import Cache
from workers.caches.semantic import SEMANTIC, Entry
from workers.runtime.calls.semantic_index import SemanticIndex
from workers.runtime.calls.semantic_search import SemanticSearch

DIMENSIONS = 384
SIZES = (10_000, 100_000)
ROUNDS = 200
_EMBEDS = "minilm-shape"
_SCOPE = b"s" * 32
#: They end by themselves: an answer that is cut is not kept.
QUESTIONS = (
    "What is gravity?",
    "Explain photosynthesis in one sentence.",
    "Why is the sky blue?",
    "What is a prime number?",
)


def run() -> dict:
    return {**_index(), **_search(), **_service()}


def _vectors(count):
    numbers = np.random.default_rng(1).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return numbers / np.linalg.norm(numbers, axis=1, keepdims=True)


def _index() -> dict:
    """The comparison alone."""
    result = {}
    for size in SIZES:
        index, vectors = SemanticIndex(DIMENSIONS), _vectors(size)
        for number, vector in enumerate(vectors):
            index.add(str(number), _SCOPE, vector)
        took = [_ms(index.nearest, _SCOPE, vectors[number], 0.95, 8) for number in range(0, ROUNDS)]
        result[f"compared with {size}, ms"] = round(statistics.median(took), 2)
    return result


def _search() -> dict:
    """A search as its worker makes it, without the vector: Redis is asked what is new."""
    size, vectors = SIZES[0], _vectors(SIZES[0])
    engine = SimpleNamespace(dimensions=DIMENSIONS)
    with (
        tempfile.TemporaryDirectory() as directory,
        Valkey(Path(directory)) as server,
        server.client() as redis,
    ):
        cache = Cache(SEMANTIC, redis, most_bytes=2**30)
        for number, vector in enumerate(vectors):
            text = (("", "an answer " * 50),)
            entry = Entry(_SCOPE, vector.tobytes(), str(number), text, {}, 1.0)
            cache.store(entry.id, entry.encode(), MODEL)
        search = SemanticSearch(engine, cache)

        def ask(number):
            found = SimpleNamespace(vectors=vectors[number : number + 1])
            engine.embed = lambda *_: found
            body = {"text": "a", "scope": _SCOPE.hex(), "threshold": 0.95}
            assert len(search(body)["candidates"]) == 1

        first = _ms(ask, 0)
        took = sorted(_ms(ask, number) for number in range(1, ROUNDS))
    return {
        f"first search, which reads {size} entries, ms": round(first),
        f"search among {size}, p50 ms": round(statistics.median(took), 2),
        f"search among {size}, p99 ms": round(took[int(0.99 * len(took))], 2),
    }


def _service() -> dict:
    with tempfile.TemporaryDirectory() as models:
        embedding_model.write(
            Path(models) / f"{_EMBEDS}.gguf",
            layers=6, width=DIMENSIONS, feed_forward=1536, heads=12, context=256,
        )  # fmt: skip
        with service(
            concurrency=1,
            INFERENCE_MODELS_DIR=models,
            INFERENCE_PRELOAD_MODELS=f"{MODEL},{_EMBEDS}",
            INFERENCE_SEMANTIC_CACHE="true",
            INFERENCE_SEMANTIC_CACHE_MODEL=_EMBEDS,
        ) as running:
            _await_hashes(running.port)
            return _asked(running.port)


def _asked(port) -> dict:
    made, hits, lost = [], [], 0
    for question in QUESTIONS:
        word, took = _ask(port, question)
        if word != "miss":
            continue
        made.append(took)
        for _ in range(10):
            again, hit = _ask(port, question)
            if again != "hit":  # the lookup took too long, and this is an answer
                lost += 1
                break
            hits.append((took / hit, hit))
    of_hits = [hit for _, hit in hits]
    return {
        "an answer, median ms": round(statistics.median(made)),
        "hits, and lookups that took too long": f"{len(hits)}, {lost}",
        "a hit over HTTP, median ms": round(statistics.median(of_hits), 1),
        "an answer over its hit, median": round(statistics.median(ratio for ratio, _ in hits)),
    }


def _await_hashes(port):
    until, pause = time.monotonic() + 120, threading.Event()
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health/ready")
        state = json.loads(connection.getresponse().read()).get("semantic_cache", {})
        connection.close()
        if state.get("status") == "on":
            return
        pause.wait(0.2)
    raise RuntimeError("the semantic cache stays off")


def _ask(port, question):
    body = {
        "model": MODEL,
        "temperature": 0,
        "messages": [{"role": "user", "content": question}],
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - began) * 1e3
    connection.close()
    return answer.headers["X-Cache"], took


def _ms(function, *arguments) -> float:
    began = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - began) * 1e3
