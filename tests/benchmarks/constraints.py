"""What holding answers to a schema costs: 16 streams of which 8 are held, beside 16 free ones.

The engine alone, in this process. Rounds alternate, medians are compared: machines drift.
"""

import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.processes import percentile
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines import registry
from workers.engines.base import EngineOptions, GenerationRequest
from workers.engines.constraint_masks import Mask

STREAMS, HELD, TOKENS, ROUNDS = 16, 8, 64, 3
#: An answer that does not end before its tokens do.
SCHEMA = {
    "type": "array",
    "minItems": 1000,
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 30}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}


class _Timed:
    """Seconds that the decoding thread spends on masks, by row: all of them, and those of CPU."""

    def __init__(self) -> None:
        self.rows: list[float] = []
        self.cpu_rows: list[float] = []
        self._row_s = self._row_cpu_s = 0.0
        for name in ("is_ready", "allowed", "take"):
            setattr(Mask, name, self._around(getattr(Mask, name), last=name == "take"))

    def _around(self, method, *, last: bool):
        def timed(mask, *arguments):
            began, began_cpu = time.perf_counter(), time.thread_time()
            try:
                return method(mask, *arguments)
            finally:
                self._row_s += time.perf_counter() - began
                self._row_cpu_s += time.thread_time() - began_cpu
                if last:
                    self.rows.append(self._row_s)
                    self.cpu_rows.append(self._row_cpu_s)
                    self._row_s = self._row_cpu_s = 0.0

        return timed


def _round(engine, held: int, round_: int) -> float:
    """Tokens a second."""

    def ask_one(place: int) -> int:
        constraint = Constraint(ConstraintKind.JSON_SCHEMA, SCHEMA) if place < held else None
        request = GenerationRequest(
            f"{round_}-{place}",
            (Message("user", f"Number {place}: tell a long story of people and their age."),),
            Sampling(temperature=0.8, seed=place, max_tokens=TOKENS, constraint=constraint),
        )
        deltas = list(engine.generate(request, threading.Event()))
        return deltas[-1].usage.completion_tokens

    began = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as threads:
        tokens = sum(threads.map(ask_one, range(STREAMS)))
    return tokens / (time.perf_counter() - began)


def run() -> dict:
    timed = _Timed()
    free, held = [], []
    with tempfile.TemporaryDirectory() as cache:
        engine = registry.create("llamacpp", EngineOptions(STREAMS, Path(cache)))
        engine.load(Catalogue.load(None, "llamacpp").get(SHIPPED), lambda _fraction: None)
        _round(engine, HELD, -1)
        timed.rows.clear()
        timed.cpu_rows.clear()
        for round_ in range(ROUNDS):
            free.append(_round(engine, 0, round_))
            held.append(_round(engine, HELD, round_))
        engine.close()
    return {
        f"{STREAMS} free, tokens/s": statistics.median(free),
        f"{HELD} of {STREAMS} held, tokens/s": statistics.median(held),
        "held over free (aim 0.95)": statistics.median(held) / statistics.median(free),
        "mask on the decoding thread, ms a row, p50 / p99 / most": _spread(timed.rows),
        "the same in CPU time (aim 1)": _spread(timed.cpu_rows),
    }


def _spread(rows_s: list[float]) -> list[float]:
    rows_ms = [row * 1e3 for row in rows_s]
    return [percentile(rows_ms, 0.5), percentile(rows_ms, 0.99), max(rows_ms)]
