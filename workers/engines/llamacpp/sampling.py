"""Samplers: one chain for each sequence, so that none sees another's seed or penalties."""

from __future__ import annotations

import ctypes
from collections import deque
from concurrent.futures import Future

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from workers.contract.errors import EngineFailed
from workers.contract.logprobs import PackedLogprobs
from workers.contract.sampling import Sampling
from workers.engines.banned_ends import BannedEnds
from workers.engines.constraint_masks import ConstraintMasks, Mask
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.llamacpp import sampler_chain
from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.sampler_chain import History
from workers.engines.llamacpp.token_logprobs import TokenLogprobs
from workers.engines.llamacpp.vocabulary import Vocabulary

#: One candidate as llama.cpp lays it out: `llama_token_data`.
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
#: Seconds that the decoding thread waits for one mask. It is made long before in nearly every step;
#: an answer whose mask is later than that sits out a step, and its neighbours do not wait.
GRACE_S = 0.0005


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
        if self._takes_likeliest:
            token = int(context.logits(row).argmax())
        else:
            token = int(llama_cpp.llama_sampler_sample(self._chain, context.pointer, row))
        if self._teller is not None:
            self._told.append(self._teller.of(context.logits(row), token))
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

    def _banned_in_chain(self) -> list[frozenset[int]]:
        """Tokens that the chain bans, those that it bans for a while first."""
        return [tokens for tokens in (self._ends.early, self._ends.always) if tokens]


class ConstrainedSampler(Sampler):
    """A sampler whose tokens keep to a constraint: the chain chooses among those that it allows.

    The constraint holds the content, not what the model thinks before it. Only two things are
    refused to a thought: to end the turn, and to end in the middle of a token that also begins the
    content.
    """

    def __init__(
        self,
        sampling: Sampling,
        vocabulary: Vocabulary,
        history: History,
        mask: Mask,
        gate: GrammarGate,
    ) -> None:
        """`mask` and `gate`: as they are after the tokens that were produced before."""
        super().__init__(sampling, vocabulary, history)
        self._mask = mask
        self._gate = gate
        self._all = np.arange(vocabulary.size, dtype=np.int32)
        self._kept: NDArray[np.float32] | None = None

    @property
    def pending(self) -> Future[None] | None:
        """The mask that a token waits for."""
        return self._mask.pending if self._kept is not None else None

    def sample(self, context: Context, row: int) -> int | None:
        """Choose a token that the constraint allows where it holds, and remember it.

        None: its mask is not made yet. The logits are kept, and `resume` goes on with them.

        Raises:
            ConstraintFailed: the mask cannot be made.
            EngineFailed: no token can follow.
        """
        logits = context.logits(row)
        self._kept = None
        if not self._mask.is_ready(GRACE_S):
            self._kept = logits.copy()
            return None
        return self._sample(logits)

    def resume(self) -> int | None:
        """The token that `sample` left open; None while the mask is still being made.

        Raises:
            ConstraintFailed: the mask cannot be made, or not in time.
            EngineFailed: no token can follow.
        """
        if self._kept is None or not self._mask.is_ready(0):
            return None
        logits, self._kept = self._kept, None
        return self._sample(logits)

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        self._mask.close()
        super().free()

    def _sample(self, logits: NDArray[np.float32]) -> int:
        if self._gate.passed:
            token = self._choose(self._candidates(logits, self._allowed()))
        else:
            token = self._choose(self._candidates(logits, self._all))
            if not self._fits(token):
                token = self._fitting(logits)
        if self._gate.take(token) is TokenRole.CONTENT:
            self._mask.take(token)
        llama_cpp.llama_sampler_accept(self._chain, token)
        if self._teller is not None:
            self._told.append(self._teller.of(logits, token))
        self._ends.lifted_by_one_more()
        return token

    def _banned_in_chain(self) -> list[frozenset[int]]:
        """None: where the constraint allows nothing else, the answer ends early after all."""
        return []

    def _allowed(self) -> NDArray[np.int32]:
        """What the constraint allows, without what would end the answer too early."""
        allowed = self._mask.allowed()
        if banned := self._ends.now:
            going_on = allowed[~np.isin(allowed, list(banned))]
            return going_on if len(going_on) else allowed
        return allowed

    def _fits(self, token: int) -> bool:
        role = self._gate.role(token)
        return role is TokenRole.THOUGHT or (role is TokenRole.CONTENT and self._mask.allows(token))

    def _fitting(self, logits: NDArray[np.float32]) -> int:
        """A token instead of one that does not fit, before the content."""
        if not self._gate.thinking:
            token = self._choose(self._candidates(logits, self._allowed()))
            if self._fits(token):
                return token
        # In a thought, or in the middle of a tag: the likeliest that fits.
        for token in np.argsort(-logits):
            if self._fits(int(token)):
                return int(token)
        raise EngineFailed("No token can follow what the model wrote before the answer.")

    def _choose(self, candidates: NDArray[np.void]) -> int:
        data = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data, len(candidates), -1, False)
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    @staticmethod
    def _candidates(logits: NDArray[np.float32], ids: NDArray[np.int32]) -> NDArray[np.void]:
        candidates = np.empty(len(ids), dtype=_CANDIDATE)
        candidates["id"] = ids
        candidates["logit"] = logits[ids]
        candidates["p"] = 0.0
        return candidates


def sampler(
    sampling: Sampling,
    vocabulary: Vocabulary,
    history: History,
    masks: ConstraintMasks,
    gate: GrammarGate,
) -> Sampler:
    """The sampler of a request, held to its constraint if it has one.

    `gate`: a fresh one, which knows where in the answer the content begins.

    Raises:
        ValidationFailed: nothing can be held to the constraint.
        ConstraintFailed: making its first mask took too long.
    """
    if sampling.constraint is None:
        return Sampler(sampling, vocabulary, history)
    content = [token for token in history.produced if gate.take(token) is TokenRole.CONTENT]
    mask = masks.begin(sampling.constraint, content)
    return ConstrainedSampler(sampling, vocabulary, history, mask, gate)
