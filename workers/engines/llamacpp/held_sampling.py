"""Samplers of answers that are held to a grammar: the chain chooses among the tokens it allows."""

from __future__ import annotations

import abc
import ctypes
from concurrent.futures import Future

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from workers.contract.errors import EngineFailed
from workers.contract.sampling import Sampling
from workers.engines.answer_form import AnswerForm
from workers.engines.call_hold import CallHold
from workers.engines.constraint_masks import ConstraintMasks, Mask
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.sampler_chain import History
from workers.engines.llamacpp.sampling import Sampler
from workers.engines.llamacpp.vocabulary import Vocabulary

#: One candidate as llama.cpp lays it out: `llama_token_data`.
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
#: Seconds that the decoding thread waits for one mask. It is made long before in nearly every step;
#: an answer whose mask is later than that sits out a step, and its neighbours do not wait.
GRACE_S = 0.0005


class HeldSampler(Sampler, abc.ABC):
    """A sampler whose tokens may have to wait for what they are held to."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, history: History) -> None:
        """See `Sampler`."""
        super().__init__(sampling, vocabulary, history)
        self._all = np.arange(vocabulary.size, dtype=np.int32)
        self._kept: NDArray[np.float32] | None = None

    @property
    def pending(self) -> Future[None] | None:
        """The mask that a token waits for."""
        mask = self._mask
        return None if self._kept is None or mask is None else mask.pending

    def sample(self, context: Context, row: int) -> int | None:
        """Choose a token that the grammar allows where it holds, and remember it.

        None: its mask is not made yet. The logits are kept, and `resume` goes on with them.

        Raises:
            ConstraintFailed: the mask cannot be made.
            EngineFailed: no token can follow.
        """
        logits = context.logits(row)
        self._kept = None
        if not self._is_ready(GRACE_S):
            self._kept = logits.copy()
            return None
        return self._sample(logits)

    def resume(self) -> int | None:
        """The token that `sample` left open; None while the mask is still being made.

        Raises:
            ConstraintFailed: the mask cannot be made, or not in time.
            EngineFailed: no token can follow.
        """
        if self._kept is None or not self._is_ready(0):
            return None
        logits, self._kept = self._kept, None
        return self._sample(logits)

    def free(self) -> None:
        """Give the memory back; the sampler is of no use afterwards."""
        if self._mask is not None:
            self._mask.close()
        super().free()

    @property
    @abc.abstractmethod
    def _mask(self) -> Mask | None:
        """What allows the next token; None: nothing holds it."""

    @abc.abstractmethod
    def _is_ready(self, wait_s: float) -> bool:
        """Whether it is known what may come next; waits at most so long."""

    @abc.abstractmethod
    def _sample(self, logits: NDArray[np.float32]) -> int:
        """Choose a token, and remember it; it is known what may come."""

    def _banned_in_chain(self) -> list[frozenset[int]]:
        """None: where the grammar allows nothing else, the answer ends early after all."""
        return []

    def _allowed(self) -> NDArray[np.int32]:
        """What may come, without what would end the answer too early."""
        allowed = self._all if self._mask is None else self._mask.allowed()
        if banned := self._ends.now:
            going_on = allowed[~np.isin(allowed, list(banned))]
            return going_on if len(going_on) else allowed
        return allowed

    def _remember(self, token: int, logits: NDArray[np.float32]) -> None:
        llama_cpp.llama_sampler_accept(self._chain, token)
        if self._teller is not None:
            self._told.append(self._teller.of(logits, token))
        self._ends.lifted_by_one_more()

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


class ConstrainedSampler(HeldSampler):
    """A sampler whose tokens keep to a grammar from the content on.

    The grammar holds the content, not what the model thinks before it. Only two things are refused
    to a thought: to end the turn, and to end in the middle of a token that also begins the content.
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
        self._content = mask
        self._gate = gate

    @property
    def _mask(self) -> Mask:
        return self._content

    def _is_ready(self, wait_s: float) -> bool:
        return self._content.is_ready(wait_s)

    def _sample(self, logits: NDArray[np.float32]) -> int:
        if self._gate.passed:
            token = self._choose(self._candidates(logits, self._allowed()))
        else:
            token = self._choose(self._candidates(logits, self._all))
            if not self._fits(token):
                token = self._fitting(logits)
        if self._gate.take(token) is TokenRole.CONTENT:
            self._content.take(token)
        self._remember(token, logits)
        return token

    def _fits(self, token: int) -> bool:
        role = self._gate.role(token)
        return role is TokenRole.THOUGHT or (
            role is TokenRole.CONTENT and self._content.allows(token)
        )

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


class CallSampler(HeldSampler):
    """A sampler whose tokens keep to a grammar from where the answer opens a call."""

    def __init__(
        self, sampling: Sampling, vocabulary: Vocabulary, history: History, hold: CallHold
    ) -> None:
        """`hold`: as it is after the tokens that were produced before."""
        super().__init__(sampling, vocabulary, history)
        self._hold = hold

    def sample(self, context: Context, row: int) -> int | None:
        """See `HeldSampler.sample`; where nothing holds it a token is llama.cpp's to choose."""
        if self._mask is not None or self._ends.now:
            return super().sample(context, row)
        token = self._draw(context, row)
        self._hold.take(token)
        return token

    @property
    def _mask(self) -> Mask | None:
        return self._hold.mask

    def _is_ready(self, wait_s: float) -> bool:
        return self._hold.is_ready(wait_s)

    def _sample(self, logits: NDArray[np.float32]) -> int:
        token = self._choose(self._candidates(logits, self._allowed()))
        self._remember(token, logits)
        self._hold.take(token)
        return token


def sampler(
    sampling: Sampling,
    vocabulary: Vocabulary,
    history: History,
    masks: ConstraintMasks,
    form: AnswerForm,
) -> Sampler:
    """The sampler of a request, held to what its answer is held to.

    Raises:
        ValidationFailed: nothing can be held to its grammar.
        ConstraintFailed: making its first mask took too long.
    """
    if form.grammar is not None:
        gate = GrammarGate(vocabulary, form.before_grammar())
        content = [token for token in history.produced if gate.take(token) is TokenRole.CONTENT]
        mask = masks.begin(form.grammar, content)
        return ConstrainedSampler(sampling, vocabulary, history, mask, gate)
    if form.calls is not None:
        hold = CallHold(vocabulary, masks, form, form.calls)
        hold.take_all(history.produced)
        return CallSampler(sampling, vocabulary, history, hold)
    return Sampler(sampling, vocabulary, history)
