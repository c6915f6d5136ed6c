"""Batches: what the next step decodes, of every sequence that has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass

from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.drafts import Drafts
from workers.engines.llamacpp.prefill_chunks import PrefillChunks
from workers.engines.llamacpp.prompt_lookup import NO_DRAFT, Draft
from workers.engines.llamacpp.sequence import Sequence
from workers.engines.llamacpp.waiting import Rank


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """What one sequence has in a step's batch: tokens of its own, then its draft."""

    sequence: Sequence
    #: Of its own.
    tokens: int
    #: Row of the logits of the last of them, before those of its draft; None while its prompt goes
    #: on.
    row: int | None

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return self.tokens + len(self.sequence.draft.tokens)

    def sample(self, context: Context) -> list[int]:
        """The tokens after what was decoded: one, and one more for each of its draft that came.

        Fewer, even none, where one waits for its mask.
        """
        tokens: list[int] = []
        row, drafted = self.row, self.sequence.draft.tokens
        while row is not None:
            token = self.sequence.sampler.sample(context, row)
            if token is None:
                break
            tokens.append(token)
            came = len(tokens) <= len(drafted) and token == drafted[len(tokens) - 1]
            row = row + 1 if came else None
        return tokens


class Batches:
    """Fills the context's batch, and learns from how long it took."""

    def __init__(
        self, context: Context, chunks: PrefillChunks, drafts: Drafts, kv_tokens: int
    ) -> None:
        self._context = context
        self._chunks = chunks
        self._drafts = drafts
        self._kv_tokens = kv_tokens

    def fill(self, active: Items[Sequence], rank: Callable[[Sequence], Rank]) -> list[BatchEntry]:
        """Running answers first, then prompts, the most urgent first."""
        self._context.clear_batch()
        begun = [sequence for sequence in active if sequence.has_begun]
        running = [sequence for sequence in begun if sequence.pending == 1]
        reading = [sequence for sequence in begun if sequence.pending > 1]
        if not reading:
            room = self._kv_tokens - sum(len(sequence.tokens) for sequence in active)
            drafts = self._drafts.plan(running, room)
            return [
                self._add(sequence, 1, draft)
                for sequence, draft in zip(running, drafts, strict=True)
            ]
        # Prompts take all the rows there are.
        entries = [self._add(sequence, 1) for sequence in running]
        reading.sort(key=rank)
        room = self._chunks.room(len(running), reading_s=reading[0].reading_s)
        for sequence in reading:
            if room <= 0:
                break
            count = min(sequence.pending, room)
            entries.append(self._add(sequence, count))
            room -= count
        return entries

    def took(self, entries: Iterable[BatchEntry], seconds: float) -> None:
        """The batch was decoded in so long."""
        rows = sum(entry.rows for entry in entries)
        read = sum(entry.tokens - 1 for entry in entries)
        if read:
            self._chunks.took(rows, read, seconds)
        else:
            self._drafts.took(rows, seconds)

    def _add(self, sequence: Sequence, count: int, draft: Draft = NO_DRAFT) -> BatchEntry:
        slot, begin = sequence.slot, sequence.decoded
        if slot is None:
            raise RuntimeError("only sequences with a slot are decoded")
        sequence.draft = draft
        ends_here = count == sequence.pending
        row = 0
        for position in range(begin, begin + count):
            is_last = ends_here and position == begin + count - 1
            row = self._context.add(sequence.tokens[position], position, slot, wants_logits=is_last)
        for position, token in enumerate(draft.tokens, begin + count):
            self._context.add(token, position, slot, wants_logits=True)
        return BatchEntry(sequence, count, row if ends_here else None)
