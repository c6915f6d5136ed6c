"""Seeds of samplers: every whole number that a caller may send repeats its answer.

Engines keep one value for "draw a fresh seed": 4294967295 in llama.cpp (`LLAMA_DEFAULT_SEED`), -1
in vLLM (`SamplingParams.__post_init__`). Callers of OpenAI's API leave the seed out for that, so
none of theirs may become such a value. Pure.
"""

from __future__ import annotations

#: llama.cpp takes 32 bits; the last value is its `LLAMA_DEFAULT_SEED`.
LLAMA_CPP_SEEDS = 2**32 - 1
#: vLLM takes 64 bits with a sign; without the negative ones, -1 among them.
VLLM_SEEDS = 2**63


def after(seed: int, produced: int, seeds: int) -> int:
    """The seed of a generation that goes on after `produced` tokens: 0 to `seeds` - 1.

    A generation that goes on draws from another stream than its first attempt did.
    """
    return (seed + produced) % seeds
