"""Prefixes: the beginnings that a sequence need not read, since others have.

The pool holds what is decoded now. A beginning is shared with a sequence that runs, or put back
from the prompt cache, where those that have left the pool are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.prefix_tree import PrefixTree
from workers.engines.llamacpp.prompt_cache import PromptCache, SavedPrompt
from workers.engines.llamacpp.sequence import Sequence

#: A state is put back whole, and what follows the beginning is cut off: not where less than this
#: part of it is of use.
_LEAST_USED_PART = 1 / 32


class Prefixes:
    """The slots of the pool, and what a sequence finds of its tokens when it gets one."""

    def __init__(self, context: Context, slots: int, cache: PromptCache, *, forgets: bool) -> None:
        self._context = context
        self._empty = list(range(slots))
        self._cache = cache
        #: The model's memory cannot give up the end of a sequence: states are used whole or not.
        self._forgets = forgets
        self._tree: PrefixTree[Sequence | SavedPrompt] = PrefixTree()

    @property
    def cache_bytes(self) -> tuple[int, int]:
        """Bytes of host memory that the prompt cache takes, and that it may take."""
        return self._cache.taken_bytes, self._cache.most_bytes

    def assign_slot(self, sequence: Sequence) -> None:
        """Give a sequence a slot, which is empty until it has begun."""
        sequence.slot, sequence.decoded = self._empty.pop(), 0

    def begin(self, sequence: Sequence) -> bool:
        """Fill a slot with as much of its sequence as others have read already.

        False: another sequence is just reading what this one begins with; ask again after a step.
        """
        tokens, owner = sequence.tokens, sequence.request.owner
        # The last token is always decoded: its logits choose the next.
        most = min(len(tokens) - 1, self._tree.visible_length(tokens, owner))
        for length, other in self._candidates(tokens, most):
            if isinstance(other, SavedPrompt):
                sequence.decoded = self._restore(other, _slot_of(sequence), length)
                if sequence.decoded:
                    break
            elif other.decoded >= length:
                self._context.share(_slot_of(other), _slot_of(sequence), length)
                sequence.decoded = length
                break
            elif other.request.priority >= sequence.request.priority:
                return False
        self._tree.add(sequence, tokens, owner)
        sequence.has_begun = True
        return True

    def release(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Free a sequence's slot; the cache keeps what was in it, unless `keep` is false."""
        slot = _slot_of(sequence)
        if sequence.has_begun:
            self._tree.remove(sequence)
            if keep and sequence.decoded:
                self._save(sequence)
        self._context.drop(slot)
        self._empty.append(slot)
        sequence.slot, sequence.decoded, sequence.has_begun = None, 0, False

    def truncate(self, sequence: Sequence) -> bool:
        """Free the cells after what is decoded; False where the pool cannot."""
        return self._context.truncate(_slot_of(sequence), sequence.decoded)

    def forget_job(self, job: str) -> None:
        """Drop what only this job has left."""
        for prompt in self._cache:
            if prompt.job == job:
                self._drop(prompt)

    def forget_all(self) -> None:
        """Drop everything that is kept."""
        for prompt in self._cache:
            self._drop(prompt)

    def _candidates(
        self, tokens: list[int], most: int
    ) -> Iterator[tuple[int, Sequence | SavedPrompt]]:
        """What begins with the same tokens, each with how many of them are of use; best first."""
        if self._forgets:
            for other in reversed(self._tree.contained(tokens, most)):
                if isinstance(other, SavedPrompt):
                    yield len(other.tokens), other
            return
        for length, sharers in self._tree.shared(tokens, most):
            live, saved = [], []
            for other in sharers:
                if not isinstance(other, SavedPrompt):
                    live.append(other)
                elif length >= len(other.tokens) * _LEAST_USED_PART:
                    saved.append(other)
            # Those in the pool cost nothing; those still being read are waited for at last.
            yield from ((length, other) for other in live if other.decoded >= length)
            yield from ((length, p) for p in sorted(saved, key=lambda p: len(p.tokens)))
            yield from ((length, other) for other in live if other.decoded < length)

    def _restore(self, prompt: SavedPrompt, slot: int, length: int) -> int:
        """Put a state back; returns how many of its tokens are in the pool then."""
        if self._context.restore(slot, prompt.state) and (
            length == len(prompt.tokens) or self._context.truncate(slot, length)
        ):
            self._cache.use(prompt)
            return length
        self._context.drop(slot)
        self._drop(prompt)
        return 0

    def _save(self, sequence: Sequence) -> None:
        tokens, owner = sequence.tokens[: sequence.decoded], sequence.request.owner
        if not self._forgets and self._is_known(tokens):
            return
        slot = _slot_of(sequence)
        if not self._cache.fits(self._context.state_bytes(slot)):
            return
        state = self._context.save(slot)
        if not state.nbytes:
            return
        prompt = SavedPrompt(tokens, state, sequence.request.job, sequence.request.priority)
        shorter = [] if self._forgets else self._tree.contained(tokens, len(tokens))
        self._tree.add(prompt, tokens, owner)
        for other in shorter:  # what this state has as well
            if isinstance(other, SavedPrompt):
                self._drop(other)
        for other in self._cache.add(prompt):
            self._tree.remove(other)

    def _is_known(self, tokens: list[int]) -> bool:
        """Whether a state is kept that begins with all of these tokens."""
        for length, sharers in self._tree.shared(tokens, len(tokens)):
            if length < len(tokens):
                return False
            for other in sharers:
                if isinstance(other, SavedPrompt):
                    self._cache.use(other)
                    return True
        return False

    def _drop(self, prompt: SavedPrompt) -> None:
        self._cache.remove(prompt)
        self._tree.remove(prompt)


def _slot_of(sequence: Sequence) -> int:
    if sequence.slot is None:
        raise RuntimeError("a sequence without cells has no slot")
    return sequence.slot
