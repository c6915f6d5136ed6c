"""Samplers: one chain for each sequence, so that none sees another's seed or penalties."""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Sequence as Ids

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from workers.contract.errors import EngineFailed
from workers.contract.job import Sampling
from workers.engines.llamacpp.grammar_gate import GrammarGate, TokenRole
from workers.engines.llamacpp.native import Context
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Presence and frequency penalties look this many tokens back: llama.cpp's own default
#: (`common_params_sampling.penalty_last_n`).
PENALTY_LAST_N = 64


#: One candidate as llama.cpp lays it out: `llama_token_data`.
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
#: How many of the likeliest tokens are held against the grammar first: the whole vocabulary takes
#: tens of milliseconds, in which every other sequence would wait.
_HEAD = 512


class Sampler:
    """Chooses a sequence's tokens; the order of its parts is llama.cpp's own."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, produced: Ids[int]) -> None:
        """Build the chain as it is after `produced` tokens.

        A continued generation with a seed goes on with another random stream than the first
        attempt: the seed plus the number of tokens produced.
        """
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
        """Choose the token after a row of the batch just decoded, and remember it."""
        return int(llama_cpp.llama_sampler_sample(self._chain, context.pointer, row))

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        llama_cpp.llama_sampler_free(self._chain)


class ConstrainedSampler(Sampler):
    """A sampler whose tokens keep to a grammar.

    The chain chooses as if there were none; only where the grammar refuses its choice does the
    grammar go first, and the chain choose again among what it leaves (llama.cpp's own way,
    `common_sampler_sample`).

    The grammar holds the content, not what the model thinks before it. Only two things are refused
    to a thought: to end the turn, and to end in the middle of a token that also begins the content.
    """

    def __init__(
        self,
        sampling: Sampling,
        vocabulary: Vocabulary,
        produced: Ids[int],
        grammar: str,
        gate: GrammarGate,
    ) -> None:
        """Build chain and grammar as they are after `produced` tokens.

        Raises:
            ValueError: llama.cpp cannot read the grammar.
        """
        compiled = llama_cpp.llama_sampler_init_grammar(
            vocabulary.pointer, grammar.encode(), b"root"
        )
        if not compiled:
            raise ValueError("llama.cpp cannot read the grammar")
        super().__init__(sampling, vocabulary, produced)
        self._grammar = compiled
        self._gate = gate
        for token in produced:
            if gate.take(token) is TokenRole.CONTENT:
                llama_cpp.llama_sampler_accept(compiled, token)
        self._size = vocabulary.size
        #: Survivors in the head that make looking at the rest needless: what `top_k` can reach,
        #: and as many again as penalties can push down.
        greedy = sampling.temperature <= 0
        reach = 1 if greedy else (sampling.top_k or self._size)
        self._enough = reach + PENALTY_LAST_N

    def sample(self, context: Context, row: int) -> int:
        """Choose a token that the grammar allows where it holds, and remember it.

        Raises:
            EngineFailed: the grammar allows no token at all.
        """
        pointer = llama_cpp.llama_get_logits_ith(context.pointer, row)
        logits = np.ctypeslib.as_array(pointer, shape=(self._size,))
        token = self._choose(self._candidates(logits, np.arange(self._size, dtype=np.int32)))
        if not self._fits(token):
            token = self._fitting(logits)
        if self._gate.take(token) is TokenRole.CONTENT:
            llama_cpp.llama_sampler_accept(self._grammar, token)
        llama_cpp.llama_sampler_accept(self._chain, token)
        return token

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        llama_cpp.llama_sampler_free(self._grammar)
        super().free()

    def _fits(self, token: int) -> bool:
        role = self._gate.role(token)
        return role is TokenRole.THOUGHT or (role is TokenRole.CONTENT and self._allows(token))

    def _fitting(self, logits: NDArray[np.float32]) -> int:
        """A token instead of one that does not fit."""
        if not self._gate.thinking:
            token = self._choose(self._allowed(logits))
            if self._fits(token):
                return token
        # In a thought, or in the middle of a tag: the likeliest that fits.
        for token in np.argsort(-logits):
            if self._fits(int(token)):
                return int(token)
        raise EngineFailed("No token can follow what the model wrote before the answer.")

    def _allowed(self, logits: NDArray[np.float32]) -> NDArray[np.void]:
        if self._size > _HEAD:
            head = np.argpartition(logits, -_HEAD)[-_HEAD:].astype(np.int32)
            survivors = self._keep_allowed(self._candidates(logits, head))
            if len(survivors) >= min(self._enough, _HEAD // 2):
                return survivors
        everything = self._candidates(logits, np.arange(self._size, dtype=np.int32))
        survivors = self._keep_allowed(everything)
        if not len(survivors):
            raise EngineFailed("The grammar of the response format allows no further token.")
        return survivors

    def _keep_allowed(self, candidates: NDArray[np.void]) -> NDArray[np.void]:
        self._apply(self._grammar, candidates)
        return candidates[candidates["logit"] > -np.inf]

    def _allows(self, token: int) -> bool:
        candidate = np.array([(token, 1.0, 0.0)], dtype=_CANDIDATE)
        self._apply(self._grammar, candidate)
        return bool(candidate["logit"][0] > -np.inf)

    def _choose(self, candidates: NDArray[np.void]) -> int:
        chosen = self._apply(self._chain, candidates)
        return int(chosen.data[chosen.selected].id)

    @staticmethod
    def _candidates(logits: NDArray[np.float32], ids: NDArray[np.int32]) -> NDArray[np.void]:
        candidates = np.empty(len(ids), dtype=_CANDIDATE)
        candidates["id"] = ids
        candidates["logit"] = logits[ids]
        candidates["p"] = 0.0
        return candidates

    @staticmethod
    def _apply(sampler: object, candidates: NDArray[np.void]) -> llama_cpp.llama_token_data_array:
        """Let a sampler work on the candidates, in place."""
        data = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data, len(candidates), -1, False)
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        return array
