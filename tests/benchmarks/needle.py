"""The needle test: facts in a long text, and how many are left once it was shortened.

Twenty facts stand in 6,000 tokens of talk, evenly. The shipped model shortens them as it does
between two steps: pieces, passes, checks. Beside it stand two that need no model: the beginning of
the text, and sentences taken evenly out of it. A fact is left if its number stands in what is
handed on. Where every pass failed the text stays as it was, and a pipeline would end with it.

    python -m tests.benchmarks.needle [facts] [tokens] [ratio ...]
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from orchestration.context import facts
from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.report import print_table
from tests.support.compressor import Compressor
from workers.engines import registry
from workers.engines.base import EngineOptions

FACTS, TOKENS, RATIOS = 20, 6000, (0.5, 0.25)
#: Pieces that are shortened at once. Threads of llama.cpp wait for each other in a loop: on a busy
#: machine one is faster than two.
CONCURRENCY, THREADS = 4, 1
_PLACES = (
    "Lisbon", "Oslo", "Turin", "Ghent", "Porto", "Malmo", "Graz", "Lyon", "Bergen", "Split",
    "Cork", "Riga", "Bari", "Nantes", "Delft", "Basel", "Gdansk", "Seville", "Tartu", "Leeds",
)  # fmt: skip
_WHO = ("The clerk", "A visitor", "The foreman", "Nobody", "The driver", "A neighbour", "The cook")
_DID = ("spoke of", "had forgotten", "asked about", "wrote down", "laughed at", "waited for")
_WHAT = ("the rain", "an old ladder", "the lunch", "the noise", "a broken lamp", "the long road")
_WHEN = ("that morning", "on the way home", "in the yard", "before the meeting", "as always")


def run(count: int = FACTS, tokens: int = TOKENS, ratios: tuple[float, ...] = RATIOS) -> dict:
    with tempfile.TemporaryDirectory() as cache:
        spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
        options = EngineOptions(CONCURRENCY, Path(cache), threads=THREADS)
        engine = registry.create("llamacpp", options)
        engine.load(spec, lambda _fraction: None)
        try:
            return _measure(Compressor(engine, spec), count, tokens, ratios)
        finally:
            engine.close()


def _measure(compressor: Compressor, count: int, tokens: int, ratios: tuple[float, ...]) -> dict:
    sentences, needles = _story(compressor, count, tokens)
    text = " ".join(sentences)
    (whole,) = compressor.counter.count_texts(SHIPPED, [text])
    result: dict[str, object] = {"facts / tokens": [count, whole]}
    for ratio in ratios:
        target = int(whole * ratio)
        began = time.perf_counter()
        made = compressor.shorten(text, target)
        took_s = time.perf_counter() - began
        name = f"to {ratio:g}:"
        result |= {
            f"{name} facts left, {SHIPPED} / beginning / evenly": [
                _left(needles, made.text),
                _left(needles, _beginning(compressor, sentences, target)),
                _left(needles, _evenly(sentences, ratio)),
            ],
            f"{name} tokens left, {SHIPPED}; its passes; s": [
                made.tokens,
                len(made.problems),
                took_s,
            ],
            f"{name} passes that failed, and why": [problem for problem in made.problems if problem]
            or "none",
        }
    return result


def _story(compressor: Compressor, count: int, tokens: int) -> tuple[list[str], list[str]]:
    """Sentences of so many tokens with facts evenly among them, and the facts' numbers."""
    seeded = random.Random(20)  # the same story each time
    needles = [str(seeded.randrange(10_000, 99_999)) for _ in range(count)]
    told = [
        f"The gate code of the {place} depot is {code}."
        for place, code in zip(_PLACES, needles, strict=False)
    ]
    talk = [
        f"{seeded.choice(_WHO)} {seeded.choice(_DID)} {seeded.choice(_WHAT)} "
        f"{seeded.choice(_WHEN)}."
        for _ in range(tokens)
    ]
    counts = compressor.counter.count_texts(SHIPPED, [*told, *talk])
    room, sentences = tokens - sum(counts[:count]), []
    for sentence, size in zip(talk, counts[count:], strict=True):
        if room < size:
            break
        room -= size
        sentences.append(sentence)
    for number, fact in enumerate(told):
        sentences.insert((2 * number + 1) * len(sentences) // (2 * count), fact)
    return sentences, needles


def _left(needles: list[str], text: str) -> int:
    return sum(facts.stands(needle, text) for needle in needles)


def _beginning(compressor: Compressor, sentences: list[str], target: int) -> str:
    counts = compressor.counter.count_texts(SHIPPED, sentences)
    kept, used = [], 0
    for sentence, size in zip(sentences, counts, strict=True):
        used += size
        if used > target:
            break
        kept.append(sentence)
    return " ".join(kept)


def _evenly(sentences: list[str], ratio: float) -> str:
    return " ".join(
        sentence
        for number, sentence in enumerate(sentences)
        if int((number + 1) * ratio) > int(number * ratio)
    )


if __name__ == "__main__":
    count, tokens, *ratios = sys.argv[1:] or (FACTS, TOKENS)
    print_table("needle", run(int(count), int(tokens), tuple(map(float, ratios)) or RATIOS))
