"""The scheduler: one thread that decodes for every request at once.

Continuous batching: each step decodes one token for every running answer and a chunk of the
prompts that are being read, whose size follows the time that steps take. Requests join and leave
between steps.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from dataclasses import dataclass

from workers.contract.errors import EngineFailed, InferenceError
from workers.engines.llamacpp.native import Context
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.sequence import Sequence

log = logging.getLogger(__name__)

#: Aim for the length of a step that reads prompts, so that running answers keep moving; below the
#: bound of 0.4 s, since the time of a chunk is only known from the one before.
STEP_AIM_S = 0.35
#: Prompt tokens in a step at least.
LEAST_CHUNK = 4
#: Rows that llama.cpp's flash attention on a CPU takes together (`GGML_FA_TILE_Q`). From here on a
#: row costs less than half of what it costs in a smaller batch, so chunks are multiples of it.
TILE = 64
#: First chunk below a tile, where the pace of tiles says nothing.
BELOW_TILE = 16
#: A prompt that has been read for this long, half of what callers wait, goes on in whole tiles
#: even where those take longer than the aim: else it would never end beside running answers.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Part:
    """What one sequence has in a step's batch."""

    sequence: Sequence
    tokens: int
    #: Row of its last token's logits; None while its prompt goes on.
    row: int | None


class Scheduler:
    """Owns the context; nobody else touches it after `start`."""

    def __init__(
        self, context: Context, prefixes: Prefixes, *, concurrency: int, kv_tokens: int,
        batch_tokens: int,
    ) -> None:  # fmt: skip
        self._context = context
        self._prefixes = prefixes
        self._concurrency = concurrency
        self._kv_tokens = kv_tokens
        self._batch_tokens = batch_tokens
        self._inbox: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        #: Sequences without cells: by priority, then age.
        self._waiting: list[tuple[int, int, Sequence]] = []
        self._active: list[Sequence] = []
        self._age: dict[Sequence, int] = {}
        self._ages = itertools.count()
        self._chunk = TILE
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    def start(self) -> None:
        """Start the decoding thread."""
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Hand a sequence over; its deltas tell the rest. Safe from any thread."""
        self._inbox.put(sequence)
        if not self._thread.is_alive():
            sequence.fail(EngineFailed("The engine is closed."))

    def stop(self) -> None:
        """End every sequence as cancelled, then the thread."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._welcome()
                self._dismiss_unwanted()
                self._seat_waiting()
                if parts := self._decode():
                    self._deliver(parts)
            except Exception:
                log.exception("the decoding thread met an error; its sequences fail")
                self._fail_all(EngineFailed())
        self._end_all()

    def _welcome(self) -> None:
        """Take in what was submitted; without work, sleep until something is."""
        idle = not self._active and not self._waiting
        while idle or not self._inbox.empty():
            sequence = self._inbox.get()
            idle = False
            if sequence is None:
                self._closing = True
                return
            self._age[sequence] = next(self._ages)
            self._wait(sequence)

    def _wait(self, sequence: Sequence) -> None:
        rank = -sequence.request.priority
        heapq.heappush(self._waiting, (rank, self._age[sequence], sequence))

    def _dismiss_unwanted(self) -> None:
        for sequence in [one for one in self._active if one.unwanted]:
            self._leave(sequence)
            sequence.end("cancelled")
        unwanted = [entry for entry in self._waiting if entry[2].unwanted]
        if unwanted:
            self._waiting = [entry for entry in self._waiting if entry not in unwanted]
            heapq.heapify(self._waiting)
            for _, _, sequence in unwanted:
                self._forget(sequence)
                sequence.end("cancelled")

    def _seat_waiting(self) -> None:
        """Let those who wait join, the most urgent first, while there is room for all they hold.

        The first in line is never passed by: it gets its room when others end.
        """
        while self._waiting and len(self._active) < self._concurrency:
            sequence = self._waiting[0][2]
            held = sum(len(other.tokens) for other in self._active)
            if self._active and held + len(sequence.tokens) + 1 > self._kv_tokens:
                return
            heapq.heappop(self._waiting)
            first_time = sequence.slot is None and sequence.cached_tokens == 0
            if self._active:  # it may begin at any depth: its pace is not that of the last
                self._chunk = min(self._chunk, TILE)
            self._prefixes.seat(sequence, self._active)
            if first_time:
                sequence.cached_tokens = min(sequence.decoded, sequence.prompt_length)
            sequence.begin()
            self._active.append(sequence)

    def _decode(self) -> list[_Part]:
        """One step; returns what was decoded, or nothing where there was nothing to do."""
        while self._active and not self._closing:
            parts = self._plan()
            began = time.perf_counter()
            status = self._context.decode()
            if status == 0:
                self._adapt(parts, time.perf_counter() - began)
                for part in parts:
                    part.sequence.decoded += part.tokens
                return parts
            if status == 1:
                self._make_room()
            else:
                self._fail(parts, EngineFailed(f"llama.cpp could not decode (status {status})."))
        return []

    def _plan(self) -> list[_Part]:
        """Fill the batch: running answers first, then prompts, the most urgent first."""
        self._context.clear_batch()
        running = [sequence for sequence in self._active if sequence.pending == 1]
        reading = [sequence for sequence in self._active if sequence.pending > 1]
        reading.sort(key=lambda one: (-one.request.priority, self._age[one]))
        parts = [self._add(sequence, 1) for sequence in running]
        room = self._room(len(running), reading[0]) if reading else 0
        for sequence in reading:
            if room <= 0:
                break
            count = min(sequence.pending, room)
            parts.append(self._add(sequence, count))
            room -= count
        return parts

    def _room(self, running: int, first: Sequence) -> int:
        """Prompt tokens of the next step; `first` is the prompt that is read first."""
        chunk = max(self._chunk, TILE) if first.reading_s > PATIENCE_S else self._chunk
        if running < chunk and chunk >= TILE:
            chunk -= running  # their rows are in the tiles too
        return min(chunk, self._batch_tokens - running)

    def _add(self, sequence: Sequence, count: int) -> _Part:
        slot, begin = sequence.slot, sequence.decoded
        if slot is None:
            raise RuntimeError("only seated sequences are decoded")
        ends_here = count == sequence.pending
        row = 0
        for position in range(begin, begin + count):
            is_last = ends_here and position == begin + count - 1
            row = self._context.add(sequence.tokens[position], position, slot, wants_logits=is_last)
        return _Part(sequence, count, row if ends_here else None)

    def _adapt(self, parts: list[_Part], took_s: float) -> None:
        """Let the next chunk take as long as the aim says, going by the pace of this step."""
        tokens = sum(part.tokens for part in parts)
        if tokens - len(parts) < LEAST_CHUNK - 1:
            return  # hardly a prompt was read: this says nothing about reading
        chunk = int(tokens * STEP_AIM_S / max(took_s, 1e-4))
        chunk = min(chunk, 2 * max(tokens, BELOW_TILE), self._batch_tokens)
        if chunk >= TILE:
            chunk -= chunk % TILE
        elif self._chunk >= TILE:
            chunk = min(chunk, BELOW_TILE)
        self._chunk = max(LEAST_CHUNK, chunk)

    def _make_room(self) -> None:
        """Free cells: a kept prefix, else the youngest of the least urgent sequences.

        Its token ids stay, and it reads them again when there is room. The oldest of the most
        urgent is never preempted, so that something always ends.
        """
        if self._prefixes.forget_one():
            return
        victim = max(self._active, key=lambda one: (-one.request.priority, self._age[one]))
        if len(self._active) == 1:
            self._leave(victim, keep=False)
            victim.fail(EngineFailed("The KV pool has no room for one whole sequence."))
            return
        log.info("no cell is free: %s waits and resumes", victim.request.id)
        self._active.remove(victim)
        self._prefixes.clear(victim)
        self._wait(victim)

    def _deliver(self, parts: list[_Part]) -> None:
        """Sample for every sequence first: waking readers would make the later ones wait."""
        sampled = []
        for part in parts:
            if part.row is None:
                continue
            try:
                token = part.sequence.sampler.sample(self._context, part.row)
            except InferenceError as error:
                self._leave(part.sequence, keep=False)
                part.sequence.fail(error)
            else:
                sampled.append((part.sequence, token))
        for sequence, token in sampled:
            if sequence.take(token):
                self._leave(sequence)

    def _leave(self, sequence: Sequence, *, keep: bool = True) -> None:
        self._active.remove(sequence)
        if keep:
            self._prefixes.keep(sequence)
        else:
            self._prefixes.clear(sequence)
        self._forget(sequence)

    def _forget(self, sequence: Sequence) -> None:
        del self._age[sequence]
        sequence.sampler.free()

    def _fail(self, parts: list[_Part], error: EngineFailed) -> None:
        log.error("%s", error.message)
        for part in parts:
            self._leave(part.sequence, keep=False)
            part.sequence.fail(error)

    def _fail_all(self, error: EngineFailed) -> None:
        for sequence in list(self._active):
            self._leave(sequence, keep=False)
            sequence.fail(error)
        self._prefixes.forget_all()

    def _end_all(self) -> None:
        for sequence in list(self._active):
            self._leave(sequence, keep=False)
            sequence.end("cancelled")
        for _, _, sequence in self._waiting:
            self._forget(sequence)
            sequence.end("cancelled")
        self._waiting.clear()
        while not self._inbox.empty():
            late = self._inbox.get()
            if late is not None:
                late.sampler.free()
                late.end("cancelled")
