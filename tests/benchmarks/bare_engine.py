"""The engine alone, in a process of its own: reads requests from stdin, answers with timings."""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.processes import DECODE_CORE, pin
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines import registry
from workers.engines.base import EngineOptions, GenerationRequest


def main() -> None:
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as cache:
        spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
        engine = registry.create("llamacpp", EngineOptions(1, Path(cache), threads=1))
        engine.load(spec, lambda _fraction: None)
        pin(psutil.Process().pid, DECODE_CORE)
        never = threading.Event()
        rss = psutil.Process().memory_info().rss
        print(json.dumps({"rss": rss, "before": before, "model": engine.memory_bytes}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            request = GenerationRequest(
                "bare",
                (Message("user", asked["content"]),),
                Sampling(temperature=0, max_tokens=asked["max_tokens"]),
            )
            began = time.perf_counter()
            first = None
            for delta in engine.generate(request, never):
                if first is None and delta.text:
                    first = time.perf_counter() - began
                last = delta
            total = time.perf_counter() - began
            tokens = last.usage.completion_tokens
            print(
                json.dumps({"first_token_s": first, "total_s": total, "tokens": tokens}), flush=True
            )
        engine.close()


if __name__ == "__main__":
    main()
