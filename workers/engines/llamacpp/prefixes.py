"""Prefixes: what ended sequences keep in the KV pool for later ones with the same beginning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from workers.engines.llamacpp.native import Context
from workers.engines.llamacpp.sequence import Sequence

#: A kept sequence is taken over, not shared, where a new one repeats at least this part of it.
_TAKE_OVER_PART = 0.5


@dataclass(frozen=True, slots=True)
class _Match:
    slot: int
    length: int
    idle: bool


class Prefixes:
    """Slots of the pool: those in use, those that keep a prefix, and those that are empty."""

    def __init__(self, context: Context, slots: int, *, most_kept: int, forgets: bool) -> None:
        self._context = context
        #: Sequences kept at most: on a CPU every used cell costs every step a little.
        self._most_kept = most_kept
        self._forgets = forgets
        self._empty = list(range(slots))
        #: Slot -> tokens whose cells it keeps; the least recently used first.
        self._kept: OrderedDict[int, list[int]] = OrderedDict()

    @property
    def kept_tokens(self) -> int:
        """Tokens of all kept prefixes; cells that several share count for each."""
        return sum(len(tokens) for tokens in self._kept.values())

    def assign_slot(self, sequence: Sequence, active: Iterable[Sequence]) -> None:
        """Give a sequence a slot, with as much of its beginning as the pool has already."""
        match = self._longest(sequence.tokens, active)
        if match is None:
            slot, length = self._empty_slot(), 0
        elif match.idle and self._take_over(match):
            slot, length = match.slot, match.length
            del self._kept[slot]
            if not self._context.truncate(slot, length):
                self._context.drop(slot)
                length = 0
        else:
            if match.idle:
                self._kept.move_to_end(match.slot)
            slot, length = self._empty_slot(keep=match.slot), match.length
            self._context.copy_prefix(match.slot, slot, length)
        sequence.slot, sequence.decoded = slot, length

    def keep(self, sequence: Sequence) -> None:
        """A sequence has ended: its cells stay until others need the room."""
        slot = _slot_of(sequence)
        self._kept[slot] = sequence.tokens[: sequence.decoded]
        sequence.slot = None
        while len(self._kept) > self._most_kept:
            self.forget_one()

    def clear(self, sequence: Sequence) -> None:
        """Free a sequence's cells."""
        slot = _slot_of(sequence)
        self._context.drop(slot)
        self._empty.append(slot)
        sequence.slot, sequence.decoded = None, 0

    def forget_one(self) -> bool:
        """Free the cells of the prefix unused for longest; False where none is kept."""
        if not self._kept:
            return False
        slot, _ = self._kept.popitem(last=False)
        self._context.drop(slot)
        self._empty.append(slot)
        return True

    def forget_all(self) -> None:
        """Free every kept prefix."""
        while self.forget_one():
            pass

    def _empty_slot(self, keep: int | None = None) -> int:
        if not self._empty:
            oldest = next(slot for slot in self._kept if slot != keep)
            self._kept.move_to_end(oldest, last=False)
            self.forget_one()
        return self._empty.pop()

    def _take_over(self, match: _Match) -> bool:
        kept = len(self._kept[match.slot])
        no_other = not self._empty and len(self._kept) == 1
        return self._forgets or no_other or match.length >= kept * _TAKE_OVER_PART

    def _longest(self, tokens: list[int], active: Iterable[Sequence]) -> _Match | None:
        # The last token is always decoded: its logits choose the next.
        most = len(tokens) - 1
        matches = [
            _Match(slot, _common(kept, tokens, most), idle=True)
            for slot, kept in self._kept.items()
            if not self._forgets or (len(kept) <= most and kept == tokens[: len(kept)])
        ]
        if not self._forgets:
            matches += [
                _Match(
                    _slot_of(other), _common(other.tokens, tokens, min(most, other.decoded)), False
                )
                for other in active
                if other.slot is not None
            ]
        best = max(matches, key=lambda match: (match.length, match.idle), default=None)
        return best if best is not None and best.length > 0 else None


def _common(tokens: list[int], other: list[int], most: int) -> int:
    """Length of the common beginning, at most `most`; compares slices, which C does fast."""
    low, high = 0, min(len(tokens), len(other), most)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _slot_of(sequence: Sequence) -> int:
    if sequence.slot is None:
        raise RuntimeError("a sequence without cells has no slot")
    return sequence.slot
