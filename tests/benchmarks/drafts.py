"""What drafts give: an engine that drafts beside one that does not, in this process.

A text of some 400 tokens that is repeated with one word changed, drafted from the prompt and from
the caller's `prediction`; and free text, of which nothing is drafted, alone and for 16 at once.
Rounds alternate, medians of the ratios are told: by the clock, and by the CPU time of the process.
Both engines have one thread.
"""

import dataclasses
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from presets.model import ModelSpec
from tests.benchmarks import random_model
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines import registry
from workers.engines.base import Engine, EngineOptions, GenerationRequest

STREAMS, TOKENS, LARGE_TOKENS, ROUNDS = 16, 400, 120, 3
KINDS = ("lookup", "off")

#: A list with a name in it that is changed, as in an edit of code.
LINES = "\n".join(
    f"def step_{place}(state):\n    return state.{name}(limit={place * 7}, retries={place % 4})"
    for place, name in enumerate(("load", "parse", "check", "store", "send", "close", "drop"))
)


def _asked(text: str, place: int, tokens: int, **sampling) -> GenerationRequest:
    messages = (Message("user", text),)
    options = {"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True, **sampling}
    return GenerationRequest(f"{place}", messages, Sampling(**options))


def _pace(engine: Engine, requests: Sequence[GenerationRequest]) -> tuple[float, float, list]:
    """Tokens a second from when all decode, by the clock and by CPU time; and the first's ids."""
    barrier = threading.Barrier(len(requests), lambda: clocks.append(_clocks()))
    clocks: list[tuple[float, float]] = []

    def ask(request: GenerationRequest) -> list[int]:
        deltas = engine.generate(request, threading.Event())
        ids = list(next(deltas).token_ids)
        barrier.wait()
        for delta in deltas:
            ids += delta.token_ids
        return ids

    with ThreadPoolExecutor(len(requests)) as threads:
        answers = list(threads.map(ask, requests))
    (began_s, began_cpu_s), (ended_s, ended_cpu_s) = clocks[0], _clocks()
    tokens = sum(len(ids) - 1 for ids in answers)
    return tokens / (ended_s - began_s), tokens / (ended_cpu_s - began_cpu_s), answers[0]


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _compare(
    engines: dict[str, Engine], requests: Callable[[int], Sequence[GenerationRequest]]
) -> list[float]:
    """The median over the rounds of tokens/s with drafts over without, by clock and by CPU."""
    ratios = []
    for round_ in range(ROUNDS):
        order = KINDS if round_ % 2 else KINDS[::-1]
        paces = {kind: _pace(engines[kind], requests(round_)) for kind in order}
        ratios.append([a / b for a, b in zip(*(paces[kind][:2] for kind in KINDS), strict=True)])
    return [statistics.median(column) for column in zip(*ratios, strict=True)]


def _changed(text: str) -> str:
    """The text with one word changed, in its middle."""
    words = text.split(" ")
    words[len(words) // 2] = "changed"
    return " ".join(words)


def _measure(spec: ModelSpec, cache: Path, tokens: int, widths: Sequence[int]) -> dict:
    """`tokens` of an answer at most; free text is half as long, of 16 at once an eighth."""
    engines = {}
    for kind in KINDS:
        options = EngineOptions(STREAMS, cache, threads=1, drafts=kind)
        engines[kind] = registry.create("llamacpp", options)
        engines[kind].load(spec, lambda _fraction: None)
    edit = _asked(f"Repeat this code, but change one name in it:\n\n{LINES}", 0, tokens)
    _, _, answer = _pace(engines["off"], [edit])
    own = _changed(engines["off"]._vocabulary.whole_text(answer))
    sampling = dataclasses.replace(edit.sampling, prediction=own)
    predicted = dataclasses.replace(edit, sampling=sampling)
    result = {
        "repeated, from the prompt": _compare(engines, lambda _round: [edit]),
        "repeated, from its prediction": _compare(engines, lambda _round: [predicted]),
    }
    for streams in widths:
        length = tokens // (2 if streams == 1 else 8)
        asked = partial(_free, streams, length)
        result[f"free text at {streams}"] = _compare(engines, asked)
    use = engines["lookup"].use
    for engine in engines.values():
        engine.close()
    named = {f"{spec.id}: {name}, on over off, clock / CPU": pair for name, pair in result.items()}
    return named | {f"{spec.id}: drafted / accepted": [use.drafted_tokens, use.accepted_tokens]}


def _free(streams: int, tokens: int, round_: int) -> list[GenerationRequest]:
    return [
        _asked(
            f"Number {round_ * STREAMS + place}: tell a long story of the sea.",
            place,
            tokens,
            temperature=0.8,
            seed=place,
        )
        for place in range(streams)
    ]


def run() -> dict:
    with tempfile.TemporaryDirectory() as cache:
        shipped = Catalogue.load(None, "llamacpp").get(SHIPPED)
        large = dataclasses.replace(
            shipped, id=random_model.ID, path=random_model.file(), requantise=None
        )
        return {
            **_measure(shipped, Path(cache), TOKENS, (1, STREAMS)),
            # Random weights repeat nothing by themselves, but what is predicted is their own.
            **_measure(large, Path(cache), LARGE_TOKENS, (1,)),
        }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("drafts", run())
