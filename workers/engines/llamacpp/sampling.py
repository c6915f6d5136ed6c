"""Samplers: one chain for each sequence, so that none sees another's seed or penalties."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future

import llama_cpp

from workers.contract.logprobs import PackedLogprobs
from workers.contract.sampling import Sampling
from workers.engines.banned_ends import BannedEnds
from workers.engines.llamacpp import sampler_chain
from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.sampler_chain import History
from workers.engines.llamacpp.token_logprobs import TokenLogprobs
from workers.engines.llamacpp.vocabulary import Vocabulary


class Sampler:
    """Chooses a sequence's tokens; `sampler_chain` says how."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, history: History) -> None:
        """Build the chain as it is after the tokens that were produced before."""
        self._ends = BannedEnds(sampling, vocabulary.ends, len(history.produced))
        self._chain = sampler_chain.build(sampling, vocabulary, history, self._banned_in_chain())
        #: The likeliest token, whatever came before: llama.cpp would lay out every candidate first,
        #: which for 128,000 tokens takes ten times as long.
        self._takes_likeliest = (
            sampling.temperature <= 0 and llama_cpp.llama_sampler_chain_n(self._chain) == 1
        )
        self._teller = (
            None if sampling.logprobs is None else TokenLogprobs(vocabulary, sampling.logprobs)
        )
        self._told: deque[PackedLogprobs] = deque()

    @property
    def pending(self) -> Future[None] | None:
        """What its token waits for; nothing here."""
        return None

    def sample(self, context: Context, row: int) -> int | None:
        """Choose the token after a row of the batch just decoded, and remember it."""
        token = self._draw(context, row)
        if self._ends.early and self._ends.lifted_by_one_more():
            llama_cpp.llama_sampler_free(llama_cpp.llama_sampler_chain_remove(self._chain, 0))
        return token

    def resume(self) -> int | None:
        """The token that `sample` left open; it leaves none open here."""
        return None

    def logprobs(self) -> PackedLogprobs:
        """Those of the first sampled token that was not asked after, where they are told."""
        return self._told.popleft()

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        llama_cpp.llama_sampler_free(self._chain)

    def _draw(self, context: Context, row: int) -> int:
        """A token among all that the chain leaves."""
        if self._takes_likeliest:
            token = int(context.logits(row).argmax())
        else:
            token = int(llama_cpp.llama_sampler_sample(self._chain, context.pointer, row))
        if self._teller is not None:
            self._told.append(self._teller.of(context.logits(row), token))
        return token

    def _banned_in_chain(self) -> list[frozenset[int]]:
        """Tokens that the chain bans, those that it bans for a while first."""
        return [tokens for tokens in (self._ends.early, self._ends.always) if tokens]
