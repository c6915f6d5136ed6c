"""Chains of llama.cpp's samplers: what a request says of its tokens, in llama.cpp's own order."""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import llama_cpp

from workers.contract.sampling import Sampling
from workers.engines import seeds
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Penalties look this many tokens back where nothing else is asked for: llama.cpp's own default
#: (`common_params_sampling.penalty_last_n`).
PENALTY_LAST_N = 64
#: XTC rolls with the same generator as what draws the token. With one seed both would roll the same
#: numbers, and a token would be drawn by the very number for which the likeliest were left out.
_XTC_SEED = 2**31


@dataclass(frozen=True, slots=True)
class History:
    """The tokens before those that are sampled."""

    prompt: Sequence[int]
    #: Of the answer, by an earlier attempt.
    produced: Sequence[int]
    #: Tokens of prompt and answer at most.
    context_length: int

    def window(self, last_n: int) -> int:
        """Tokens that a look back sees; -1: all."""
        return self.context_length if last_n < 0 else min(last_n, self.context_length)


def build(
    sampling: Sampling,
    vocabulary: Vocabulary,
    history: History,
    bans: Iterable[Collection[int]] = (),
) -> llama_cpp.llama_sampler_p:
    """The chain as it is after the produced tokens; its caller frees it.

    `bans`: tokens that cannot come, each of these a part of its own at the chain's beginning.
    A continued generation with a seed goes on with another random stream than the first attempt:
    the seed plus the number of tokens produced. At temperature 0 only the biases, the penalties and
    DRY count: the others never leave out the likeliest token, but for XTC, which is left out.
    """
    never = float("-inf")
    banning = (_biases(vocabulary, [(token, never) for token in tokens]) for tokens in bans)
    parts = [
        *banning,
        *_changing(sampling, vocabulary, history),
        *_choosing(sampling, len(history.produced)),
    ]
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for part in parts:
        llama_cpp.llama_sampler_chain_add(chain, part)
    for token in history.produced:
        llama_cpp.llama_sampler_accept(chain, token)
    return chain


def _biases(
    vocabulary: Vocabulary, pairs: Iterable[tuple[int, float]]
) -> llama_cpp.llama_sampler_p:
    wanted = [llama_cpp.llama_logit_bias(token, bias) for token, bias in pairs]
    array = (llama_cpp.llama_logit_bias * len(wanted))(*wanted)
    return llama_cpp.llama_sampler_init_logit_bias(vocabulary.size, len(wanted), array)


def _changing(
    sampling: Sampling, vocabulary: Vocabulary, history: History
) -> Iterator[llama_cpp.llama_sampler_p]:
    """What changes logits. Repetition counts in the prompt too, as in llama-server and vLLM."""
    if sampling.logit_bias:
        yield _biases(vocabulary, sampling.logit_bias)
    last_n = PENALTY_LAST_N if sampling.repeat_last_n is None else sampling.repeat_last_n
    window = history.window(last_n)
    if sampling.repetition_penalty != 1 and window:
        yield _fed(
            llama_cpp.llama_sampler_init_penalties(
                vocabulary.size, window, sampling.repetition_penalty, 0.0, 0.0
            ),
            history.prompt[-window:],
        )
    if (sampling.presence_penalty or sampling.frequency_penalty) and window:
        yield llama_cpp.llama_sampler_init_penalties(
            vocabulary.size, window, 1.0, sampling.frequency_penalty, sampling.presence_penalty
        )
    window = history.window(sampling.dry_penalty_last_n)
    if sampling.dry_multiplier and window:
        yield _fed(_dry(sampling, vocabulary, window), history.prompt[-window:])


def _choosing(sampling: Sampling, produced: int) -> Iterator[llama_cpp.llama_sampler_p]:
    """What leaves tokens out, and draws one."""
    if sampling.temperature <= 0:
        yield llama_cpp.llama_sampler_init_greedy()
        return
    seed = secrets.randbelow(seeds.LLAMA_CPP_SEEDS) if sampling.seed is None else sampling.seed
    if sampling.top_n_sigma > 0:
        yield llama_cpp.llama_sampler_init_top_n_sigma(sampling.top_n_sigma)
    yield llama_cpp.llama_sampler_init_top_k(sampling.top_k)
    if sampling.typical_p < 1:
        yield llama_cpp.llama_sampler_init_typical(sampling.typical_p, 1)
    yield llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1)
    yield llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1)
    if sampling.xtc_probability:
        yield llama_cpp.llama_sampler_init_xtc(
            sampling.xtc_probability,
            sampling.xtc_threshold,
            1,
            seeds.after(seed + _XTC_SEED, produced, seeds.LLAMA_CPP_SEEDS),
        )
    yield llama_cpp.llama_sampler_init_temp(sampling.temperature)
    yield llama_cpp.llama_sampler_init_dist(seeds.after(seed, produced, seeds.LLAMA_CPP_SEEDS))


def _dry(sampling: Sampling, vocabulary: Vocabulary, window: int) -> llama_cpp.llama_sampler_p:
    breakers = [text.encode("utf-8", "replace") for text in sampling.dry_sequence_breakers]
    return llama_cpp.llama_sampler_init_dry(
        vocabulary.pointer,
        sampling.dry_multiplier,
        sampling.dry_base,
        sampling.dry_allowed_length,
        window,
        (ctypes.c_char_p * len(breakers))(*breakers),
        len(breakers),
    )


def _fed(part: llama_cpp.llama_sampler_p, tokens: Iterable[int]) -> llama_cpp.llama_sampler_p:
    for token in tokens:
        llama_cpp.llama_sampler_accept(part, token)
    return part
