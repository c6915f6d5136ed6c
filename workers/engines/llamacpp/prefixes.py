"""Prefixes: the beginnings that a sequence need not read, since others have.

The pool holds what is decoded now. A beginning is shared with a sequence that runs, or put back
from the prompt cache, where those that have left the pool are kept: in memory, and on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.prefix_tree import PrefixTree
from workers.engines.llamacpp.prompt_cache import PromptCache, SavedPrompt
from workers.engines.llamacpp.prompt_disk import PromptDisk
from workers.engines.llamacpp.prompt_lookup import NO_DRAFT
from workers.engines.llamacpp.saved_prompts import SavedPrompts
from workers.engines.llamacpp.sequence import Sequence

#: A state is put back whole, and what follows the beginning is cut off: not where less than this
#: part of it is of use.
_LEAST_USED_PART = 1 / 32
#: Tokens of a sequence that the disk does not have, from which on it gets them: reading them anew
#: would take seconds, writing them a hundredth of that.
_LEAST_WRITTEN = 512
#: Tokens that a state on disk must have beyond those at hand: fewer are read as soon anew.
_LEAST_READ = 64


class Prefixes:
    """The slots of the pool, and what a sequence finds of its tokens when it gets one."""

    def __init__(
        self,
        context: Context,
        slots: int,
        cache: PromptCache,
        *,
        forgets: bool,
        disk: PromptDisk | None = None,
    ) -> None:
        """`disk` None: prompts are kept in memory alone."""
        self._context = context
        self._slots = slots
        self._empty = list(range(slots))
        #: The model's memory cannot give up the end of a sequence: states are used whole or not.
        self._forgets = forgets
        self._tree: PrefixTree[Sequence | SavedPrompt] = PrefixTree()
        self._saved = SavedPrompts(self._tree, cache, disk, forgets=forgets)

    @property
    def saved(self) -> SavedPrompts:
        """What has left the pool."""
        return self._saved

    def assign_slot(self, sequence: Sequence) -> None:
        """Give a sequence a slot, which is empty until it has begun."""
        sequence.slot, sequence.decoded = self._empty.pop(), 0

    def begin(self, sequence: Sequence) -> bool:
        """Fill a slot with as much of its sequence as others have read already.

        False: another sequence is just reading what this one begins with, or the disk is; ask again
        after a step.
        """
        self._saved.follow_disk()
        tokens, owner = sequence.tokens, sequence.request.owner
        # The last token is always decoded: its logits choose the next.
        most = min(len(tokens) - 1, self._tree.visible_length(tokens, owner))
        for length, other in self._candidates(tokens, most):
            if isinstance(other, SavedPrompt):
                if not self._saved.has_come(other):
                    return False
                sequence.decoded = self._restore(other, _slot_of(sequence), length)
                if sequence.decoded:
                    break
            elif other.decoded >= length:
                self._context.share(_slot_of(other), _slot_of(sequence), length)
                sequence.decoded = length
                break
            elif other.request.priority >= sequence.request.priority:
                return False
        sequence.stored = self._stored_length(tokens, most) if self._saved.are_written else 0
        self._tree.add(sequence, tokens, owner)
        sequence.has_begun = True
        return True

    def checkpoint(self, sequence: Sequence) -> None:
        """Let the disk have what a running sequence has read, where reading it anew would be long.

        A worker that dies later costs the answer no more than what came after.
        """
        if self._saved.are_written and sequence.decoded - sequence.stored >= _LEAST_WRITTEN:
            self._keep(sequence)
            sequence.stored = sequence.decoded

    def release(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Free a sequence's slot; the cache keeps what was in it, unless `keep` is false."""
        slot = _slot_of(sequence)
        if sequence.has_begun:
            self._tree.remove(sequence)
            if keep and sequence.decoded:
                self._keep(sequence)
        self._context.drop(slot)
        self._empty.append(slot)
        sequence.slot, sequence.decoded, sequence.has_begun = None, 0, False
        sequence.draft = NO_DRAFT  # one that had no room was not decoded

    def truncate(self, sequence: Sequence) -> bool:
        """Free the cells after what is decoded; False where the pool cannot."""
        return self._context.truncate(_slot_of(sequence), sequence.decoded)

    def _candidates(
        self, tokens: list[int], most: int
    ) -> Iterator[tuple[int, Sequence | SavedPrompt]]:
        """What begins with the same tokens, each with how many of them are of use; best first."""
        at_hand: int | None = None
        for length, other in self._found(tokens, most):
            if _is_on_disk_alone(other):
                if not self._saved.may_have(other.state_bytes):
                    continue
                if at_hand is None:  # once: there may be thousands on disk that begin alike
                    at_hand = self._length_at_hand(tokens, most)
                if length < at_hand + _LEAST_READ:
                    continue
            yield length, other
            at_hand = None  # it was of no use, and may have gone

    def _length_at_hand(self, tokens: list[int], most: int) -> int:
        """How many of the first tokens the best state has that no disk must read."""
        found = self._found(tokens, most)
        return next((length for length, other in found if _is_at_hand(other, length)), 0)

    def _found(self, tokens: list[int], most: int) -> Iterator[tuple[int, Sequence | SavedPrompt]]:
        return self._whole(tokens, most) if self._forgets else self._parts(tokens, most)

    def _whole(self, tokens: list[int], most: int) -> Iterator[tuple[int, SavedPrompt]]:
        for other in reversed(self._tree.contained(tokens, most)):
            if isinstance(other, SavedPrompt):
                yield len(other.tokens), other

    def _parts(self, tokens: list[int], most: int) -> Iterator[tuple[int, Sequence | SavedPrompt]]:
        for length, sharers in self._tree.shared(tokens, most):
            live: list[Sequence] = []
            saved: list[SavedPrompt] = []
            for other in sharers:
                if not isinstance(other, SavedPrompt):
                    live.append(other)
                elif length >= len(other.tokens) * _LEAST_USED_PART and (
                    other.state is not None or length >= _LEAST_READ
                ):
                    saved.append(other)
            saved.sort(key=lambda p: (p.state is None, len(p.tokens)))
            # Those in the pool cost nothing; those still being read are waited for at last.
            yield from ((length, other) for other in live if other.decoded >= length)
            yield from ((length, other) for other in saved)
            yield from ((length, other) for other in live if other.decoded < length)

    def _restore(self, prompt: SavedPrompt, slot: int, length: int) -> int:
        """Put a state back; returns how many of its tokens are in the pool then."""
        state = prompt.state
        if state is None:
            return 0
        if self._context.restore(slot, state) and (
            length == len(prompt.tokens) or self._context.truncate(slot, length)
        ):
            self._saved.use(prompt)
            return length
        self._context.drop(slot)
        if prompt.file is not None and len(self._empty) < self._slots - 1:
            self._saved.leave_memory(prompt)  # beside others there was no room in the pool
        else:
            self._saved.drop(prompt)
        return 0

    def _keep(self, sequence: Sequence) -> None:
        """Keep what is in a sequence's slot in memory, and on disk where it is worth that."""
        tokens = sequence.tokens[: sequence.decoded]
        prompt = self._saved.known(tokens) or self._save(sequence, tokens)
        if prompt is not None and sequence.decoded - sequence.stored >= _LEAST_WRITTEN:
            self._saved.write(prompt)

    def _save(self, sequence: Sequence, tokens: list[int]) -> SavedPrompt | None:
        slot, request = _slot_of(sequence), sequence.request
        size_bytes = self._context.state_bytes(slot)
        if not self._saved.has_room(size_bytes):
            return None
        state = self._context.save(slot, size_bytes)
        if not state.nbytes:
            return None
        prompt = SavedPrompt(tokens, state, request.job, request.priority, request.owner)
        self._saved.add(prompt)
        return prompt

    def _stored_length(self, tokens: list[int], most: int) -> int:
        """How many of the first tokens the disk has, or gets; 0 where those are few."""
        for length, other in self._found(tokens, most):
            if length < _LEAST_READ:
                break
            if isinstance(other, SavedPrompt) and (other.file is not None or other.is_offered):
                return length
        return 0


def _is_on_disk_alone(other: Sequence | SavedPrompt) -> TypeGuard[SavedPrompt]:
    return isinstance(other, SavedPrompt) and other.state is None


def _is_at_hand(other: Sequence | SavedPrompt, length: int) -> bool:
    if isinstance(other, SavedPrompt):
        return other.state is not None
    return other.decoded >= length


def _slot_of(sequence: Sequence) -> int:
    if sequence.slot is None:
        raise RuntimeError("a sequence without cells has no slot")
    return sequence.slot
