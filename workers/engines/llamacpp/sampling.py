"""Samplers: one chain for each sequence, so that none sees another's seed or penalties."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import llama_cpp

from workers.contract.job import Sampling
from workers.engines.llamacpp.native import Context
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Presence and frequency penalties look this many tokens back: llama.cpp's own default
#: (`common_params_sampling.penalty_last_n`).
PENALTY_LAST_N = 64


class Sampler:
    """Chooses a sequence's tokens; the order of its parts is llama.cpp's own."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, produced: Iterable[int]) -> None:
        """Build the chain as it is after `produced` tokens.

        A continued generation with a seed goes on with another stream of chance than the first
        attempt: the seed plus the number of tokens produced.
        """
        produced = tuple(produced)
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        parts = []
        if sampling.presence_penalty or sampling.frequency_penalty:
            parts.append(
                llama_cpp.llama_sampler_init_penalties(
                    vocabulary.size,
                    PENALTY_LAST_N,
                    1.0,
                    sampling.frequency_penalty,
                    sampling.presence_penalty,
                )
            )
        if sampling.temperature <= 0:
            parts.append(llama_cpp.llama_sampler_init_greedy())
        else:
            seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
            parts += [
                llama_cpp.llama_sampler_init_top_k(sampling.top_k),
                llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1),
                llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1),
                llama_cpp.llama_sampler_init_temp(sampling.temperature),
                llama_cpp.llama_sampler_init_dist((seed + len(produced)) & 0xFFFFFFFF),
            ]
        for part in parts:
            llama_cpp.llama_sampler_chain_add(chain, part)
        for token in produced:
            llama_cpp.llama_sampler_accept(chain, token)
        self._chain = chain

    def sample(self, context: Context, row: int) -> int:
        """Choose the token behind a row of the batch just decoded, and remember it."""
        return int(llama_cpp.llama_sampler_sample(self._chain, context.pointer, row))

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        llama_cpp.llama_sampler_free(self._chain)
