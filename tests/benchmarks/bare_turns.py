"""A bare engine that has read a conversation and reads its next words, in a process of its own."""

import json
import os
import statistics
import sys
import time
from pathlib import Path

from tests.benchmarks.bare_batch import Batch, shared_length
from tests.benchmarks.processes import DECODE_CORE, pin

REPEATS = 3


def _read(batch: Batch, tokens: list[int], begin: int) -> None:
    context = batch.context
    for start in range(begin, len(tokens), 512):
        context.clear_batch()
        for position in range(start, min(start + 512, len(tokens))):
            last = position == len(tokens) - 1
            context.add(tokens[position], position, 0, wants_logits=last)
        if context.decode() != 0:
            raise RuntimeError("the bare engine could not decode")


def main() -> None:
    pin(os.getpid(), DECODE_CORE)
    batch = Batch(Path(sys.argv[1]))
    asked = json.loads(sys.stdin.read())
    system, question = asked["first"]
    tokens = batch.prompt(system, f"{question} {asked['then']}")
    known = shared_length([batch.prompt(system, question), tokens])
    _read(batch, tokens[:known], 0)
    state = batch.context.save(0, batch.context.state_bytes(0))
    times, restored = [], []
    for _ in range(REPEATS):
        batch.context.truncate(0, known)
        began_s = time.process_time()
        _read(batch, tokens, known)
        times.append(time.process_time() - began_s)
        batch.context.drop(0)
        began_s = time.process_time()
        batch.context.restore(0, state)
        _read(batch, tokens, known)
        restored.append(time.process_time() - began_s)
    told = {"cpu_s": statistics.median(times), "restored_cpu_s": statistics.median(restored)}
    print(json.dumps({**told, "tokens": len(tokens) - known}))


if __name__ == "__main__":
    main()
