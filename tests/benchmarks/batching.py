"""Tokens/s of many requests at once: the service, a bare batch, llama-server's core.

One run, the same prompts, the same file of weights. Rounds alternate, and ratios of the same round
are compared. Of the shipped model in Q8_0, then (`batching_large`) of a 1.1B Llama in Q4_K_M.
"""

import os
import statistics
import tempfile
from itertools import count
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.contenders import BareBatch, Round, llama_server, of_service
from tests.benchmarks.processes import OTHER_CORE, pin, service
from workers.engines.llamacpp import weights

LEVELS = (1, 4, 8, 16)
PEER_LEVELS = (1, 8, 16)
MAX_TOKENS = 64
ROUNDS = 3
#: Prompts that are answered before the last rounds, and never asked again.
OTHERS = 200
_numbers = count()

STORY = (
    "Tell a story of a fox who crosses a river by an old bridge every evening, of what it sees "
    "there, and of the night the bridge was gone."
)
#: About a third of a prompt.
SHARED = "You are a teller of stories in an old inn. You speak slowly and you love details."


def apart(level: int) -> list:
    """Prompts that share nothing, with each other or with any before."""
    return [(f"{next(_numbers)} is the number of your guest.", STORY) for _ in range(level)]


def alike(level: int) -> list:
    """Prompts whose first third is the same."""
    return [(SHARED, f"{next(_numbers)}: {STORY}") for _ in range(level)]


def run() -> dict:
    with tempfile.TemporaryDirectory() as cache:
        spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
        path = weights.requantised(spec.path, spec.requantise, Path(cache))
        return measure(SHIPPED, path, LEVELS, PEER_LEVELS, ROUNDS, OTHERS, MAX_TOKENS, aim=0.95)


def measure(
    model, path, levels, peer_levels, rounds, others, max_tokens, *, aim, **environment
) -> dict:
    """Everything that is measured of one model."""
    pin(os.getpid(), OTHER_CORE)
    result: dict = {}
    with service(concurrency=max(levels), **environment) as running:
        ours = of_service(running, model)
        bare = BareBatch(path)
        ours.run(apart(2), 8)
        pairs = {level: [] for level in levels}
        for _ in range(rounds):
            for level in levels:
                asked = alike(level)
                pairs[level].append((ours.run(asked, max_tokens), bare.run(asked, max_tokens)))
        for level, both in pairs.items():
            result |= _compared(f"at {level}, over the bare batch (aim {aim})", both)
        gains = [
            statistics.median(both[i].tokens_per_s for both in pairs[levels[-1]])
            / statistics.median(both[i].tokens_per_s for both in pairs[levels[0]])
            for i in (0, 1)
        ]
        result[f"{levels[-1]} over {levels[0]}: service / bare batch"] = gains
        result["streams cut"] = sum(ours_.cut for both in pairs.values() for ours_, _ in both)
        for _ in range(0, others, levels[-1]):
            ours.run(apart(levels[-1]), 4)
        after = []
        for _ in range(rounds):
            asked = alike(levels[-1])
            after.append((ours.run(asked, max_tokens), bare.run(asked, max_tokens)))
        result |= _compared(f"the same at {levels[-1]}, after {others} other prompts", after)
        bare.stop()
        with llama_server(path, max(levels)) as peer:
            if peer is None:
                return {**result, "llama-server's core": "not installed (extra: bench)"}
            peer.run(apart(2), 8)
            for level in peer_levels:
                kinds: dict[str, list] = {"nothing shared": [], "a third shared": [], "seen": []}
                for _ in range(rounds):
                    for kind, ask in (("nothing shared", apart), ("a third shared", alike)):
                        asked = ask(level)
                        kinds[kind].append(_both(ours, peer, asked, max_tokens))
                    kinds["seen"].append(_both(ours, peer, asked, max_tokens))
                for kind, both in kinds.items():
                    result |= _compared(f"at {level}, over llama-server, {kind}", both)
                    firsts = zip(
                        *((a.first_token_s, b.first_token_s) for a, b in both), strict=True
                    )
                    name = f"first token at {level}, {kind}, s p50: service / llama-server"
                    result[name] = [statistics.median(times) for times in firsts]
    return result


def _both(ours, peer, asked, max_tokens) -> tuple[Round, Round]:
    return ours.run(asked, MAX_TOKENS), peer.run(asked, MAX_TOKENS)


def _compared(name: str, both: list[tuple[Round, Round]]) -> dict:
    """Tokens/s of one and the other, and the ratios, by wall-clock time and by CPU time."""
    return {
        f"tokens/s {name}": [
            statistics.median(one.tokens_per_s for one, _ in both),
            statistics.median(other.tokens_per_s for _, other in both),
            statistics.median(one.tokens_per_s / other.tokens_per_s for one, other in both),
        ],
        f"  for a second of CPU {name}": statistics.median(
            one.tokens_per_cpu_s / other.tokens_per_cpu_s for one, other in both
        ),
    }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("batching", run())
