"""What offering tools costs answers that call none: 16 streams with tools, beside 16 without.

Both have the same prompt, so that what is compared is the reading of calls and the watch for one
that opens. The engine alone, in this process. Rounds alternate, medians are compared.
"""

import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from tests.support.tools import ADD, WEATHER
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.contract.tools import Tools
from workers.engines import registry
from workers.engines.base import EngineOptions, GenerationRequest
from workers.engines.tool_calls import registry as tool_calls
from workers.engines.tool_calls.prompt import as_text

STREAMS, TOKENS, ROUNDS = 16, 96, 5
TOOLS = Tools((WEATHER, ADD))


def _request(place: int, round_: int, tools: Tools | None) -> GenerationRequest:
    messages = (Message("user", f"Number {place}: tell a long story of the sea."),)
    if tools is None:
        family = tool_calls.families()[tool_calls.FALLBACK]
        messages = tuple(as_text(messages, family, TOOLS))
    sampling = Sampling(temperature=0.8, seed=place, max_tokens=TOKENS)
    return GenerationRequest(f"{round_}-{place}", messages, sampling, tools=tools)


def _round(engine, round_: int, tools: Tools | None) -> tuple[float, int]:
    """Tokens a second while all decode, and how many answers called."""
    barrier = threading.Barrier(STREAMS)

    def ask_one(place: int) -> tuple[int, float, float, bool]:
        deltas = engine.generate(_request(place, round_, tools), threading.Event())
        next(deltas)
        barrier.wait()
        began, tokens = time.perf_counter(), 0
        called = False
        for delta in deltas:
            tokens += len(delta.token_ids)
            called = called or bool(delta.calls)
        return tokens, began, time.perf_counter(), called

    with ThreadPoolExecutor(STREAMS) as threads:
        answers = list(threads.map(ask_one, range(STREAMS)))
    tokens, began, ended, called = zip(*answers, strict=True)
    return sum(tokens) / (max(ended) - min(began)), sum(called)


def run() -> dict:
    without, with_tools, calls = [], [], 0
    with tempfile.TemporaryDirectory() as cache:
        engine = registry.create("llamacpp", EngineOptions(STREAMS, Path(cache)))
        engine.load(Catalogue.load(None, "llamacpp").get(SHIPPED), lambda _fraction: None)
        _round(engine, -1, TOOLS)
        for round_ in range(ROUNDS):
            without.append(_round(engine, round_, None)[0])
            pace, called = _round(engine, round_, TOOLS)
            with_tools.append(pace)
            calls += called
        engine.close()
    return {
        f"{STREAMS} without tools, tokens/s": statistics.median(without),
        f"{STREAMS} with tools, tokens/s": statistics.median(with_tools),
        "with over without (aim 0.95)": statistics.median(with_tools) / statistics.median(without),
        f"answers that called, of {STREAMS * ROUNDS}": calls,
    }
