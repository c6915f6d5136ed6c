"""The scheduler: one thread that decodes for every request at once.

Continuous batching: each step decodes one token for every running answer and a chunk of the
prompts that are being read, whose size follows the time that steps take. Requests join and leave
between steps. `batches` says what a step has.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from workers.background import BackgroundThread
from workers.contract.engine_use import EngineUse
from workers.contract.errors import EngineFailed, InferenceError
from workers.engines.llamacpp.batches import BatchEntry, Batches
from workers.engines.llamacpp.context import Context
from workers.engines.llamacpp.drafts import Drafts
from workers.engines.llamacpp.prefill_chunks import PrefillChunks
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.sequence import Sequence
from workers.engines.llamacpp.waiting import WaitingSequences

log = logging.getLogger(__name__)

#: Seconds between two looks at what was submitted or cancelled, while nothing can be decoded.
_AWAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class _ForgetJob:
    """What only this job has left is to be dropped."""

    job: str


class Scheduler(BackgroundThread):
    """Owns the context; no other thread touches it after `start`."""

    def __init__(
        self,
        context: Context,
        prefixes: Prefixes,
        *,
        concurrency: int,
        kv_tokens: int,
        chunks: PrefillChunks,
        drafts: Drafts,
    ) -> None:
        super().__init__("decode")
        self._context = context
        self._prefixes = prefixes
        self._concurrency = concurrency
        self._kv_tokens = kv_tokens
        self._drafts = drafts
        self._batches = Batches(context, chunks, drafts, kv_tokens)
        self._inbox: queue.SimpleQueue[Sequence | _ForgetJob | None] = queue.SimpleQueue()
        #: Sequences without cells.
        self._waiting = WaitingSequences()
        self._active: list[Sequence] = []
        self._moved_at = time.perf_counter()
        self._preemptions = 0

    @property
    def stalled_s(self) -> float:
        """Seconds since the last step ended, while there is work; 0 where there is none."""
        busy = self._active or self._waiting
        return time.perf_counter() - self._moved_at if busy else 0.0

    @property
    def use(self) -> EngineUse:
        """See `Engine.use`; what the decoding thread changes meanwhile may be counted or not."""
        active = list(self._active)
        taken_bytes, most_bytes = self._prefixes.saved.memory_bytes
        disk = self._prefixes.saved.disk
        disk_bytes, most_disk_bytes = (None, None) if disk is None else disk.bytes
        return EngineUse(
            rows=len(active),
            kv_cells=sum(sequence.decoded for sequence in active),
            most_kv_cells=self._kv_tokens,
            prompt_cache_bytes=taken_bytes,
            most_prompt_cache_bytes=most_bytes,
            prompt_disk_bytes=disk_bytes,
            most_prompt_disk_bytes=most_disk_bytes,
            prompts_written=0 if disk is None else disk.written,
            prompts_restored=0 if disk is None else disk.restored,
            preemptions=self._preemptions,
            drafted_tokens=self._drafts.drafted,
            accepted_tokens=self._drafts.accepted,
        )

    def submit(self, sequence: Sequence) -> None:
        """Hand a sequence over; its deltas say the rest. Safe from any thread."""
        self._inbox.put(sequence)
        if not self._thread.is_alive():
            sequence.fail(EngineFailed("The engine is closed."))

    def forget_job(self, job: str) -> None:
        """Drop what only this job has left, before the next step. Safe from any thread."""
        self._inbox.put(_ForgetJob(job))

    def stop(self) -> None:
        """End every sequence as cancelled, then the thread."""
        self._inbox.put(None)
        self._join(None)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._receive()
                self._moved_at = time.perf_counter()
                self._drop_cancelled()
                self._admit()
                self._begin()
                self._resume()
                if entries := self._decode():
                    self._deliver(entries)
                    self._checkpoint()
            except Exception:
                log.exception("unexpected error in the decoding thread; its sequences fail")
                self._fail_all(EngineFailed())
        self._end_all()

    def _receive(self) -> None:
        """Queue what was submitted; without work, sleep until something is."""
        idle = not self._active and not self._waiting
        while idle or not self._inbox.empty():
            item = self._inbox.get()
            if item is None:
                self._ending.set()
                return
            if isinstance(item, _ForgetJob):
                self._prefixes.saved.forget_job(item.job)
            else:
                self._waiting.add(item)
                idle = False

    def _drop_cancelled(self) -> None:
        for sequence in [sequence for sequence in self._active if sequence.is_cancelled]:
            self._leave(sequence)
            sequence.end("cancelled")
        for sequence in self._waiting.take_cancelled():
            self._forget(sequence)
            sequence.end("cancelled")

    def _admit(self) -> None:
        """Start waiting sequences, the most urgent first, while the pool has room for their tokens.

        The first in the queue is never overtaken: it gets its room when others end.
        """
        while self._waiting and len(self._active) < self._concurrency:
            sequence = self._waiting.first
            held = sum(len(other.tokens) for other in self._active)
            if self._active and held + len(sequence.tokens) + 1 > self._kv_tokens:
                return
            self._waiting.pop()
            self._prefixes.assign_slot(sequence)
            self._active.append(sequence)

    def _begin(self) -> None:
        """Let those begin that have a slot: with what others have read, or are reading now."""
        for sequence in self._active:
            if not sequence.has_begun and self._prefixes.begin(sequence):
                sequence.begin()

    def _decode(self) -> list[BatchEntry]:
        """One step; returns what was decoded, or nothing where there was nothing to do."""
        while self._active and not self._ending.is_set():
            entries = self._batches.fill(self._active, self._waiting.rank)
            if not entries:
                self._await()
                return []
            began = time.perf_counter()
            status = self._context.decode()
            if status == 0:
                self._batches.took(entries, time.perf_counter() - began)
                for entry in entries:
                    entry.sequence.decoded += entry.tokens
                return entries
            if status == 1:
                self._make_room()
            else:
                self._fail(entries, EngineFailed(f"llama.cpp could not decode (status {status})."))
        return []

    def _make_room(self) -> None:
        """Free the cells of the youngest of the least urgent sequences.

        It goes on when there is room: from the cache, or by reading its token ids again. The oldest
        of the most urgent is never preempted, so that something always ends.
        """
        victim = max(self._active, key=self._waiting.rank)
        if len(self._active) == 1:
            self._leave(victim, keep=False)
            victim.fail(EngineFailed("The KV pool has no room for one whole sequence."))
            return
        log.info("the KV pool is full: %s is preempted and resumes later", victim.request.id)
        self._preemptions += 1
        self._active.remove(victim)
        self._prefixes.release(victim)
        self._waiting.add(victim)

    def _deliver(self, entries: list[BatchEntry]) -> None:
        """Sample for every sequence first: waking readers would make the later ones wait."""
        self._take(
            (entry.sequence, partial(entry.sample, self._context))
            for entry in entries
            if entry.row is not None
        )

    def _resume(self) -> None:
        """Sample for those whose mask was not made yet when their logits came."""
        self._take(
            (sequence, partial(_resumed, sequence))
            for sequence in list(self._active)
            if sequence.sampler.pending is not None
        )

    def _take(self, choices: Iterable[tuple[Sequence, Callable[[], list[int]]]]) -> None:
        sampled = []
        for sequence, choose in choices:
            try:
                sampled.append((sequence, choose()))
            except InferenceError as error:
                self._leave(sequence, keep=False)
                sequence.fail(error)
        for sequence, tokens in sampled:
            has_ended = any(sequence.take(token) for token in tokens)
            self._settle(sequence)
            if has_ended:
                self._leave(sequence)

    def _settle(self, sequence: Sequence) -> None:
        """Keep in the pool what was drafted and came, and nothing else."""
        drafted = len(sequence.draft.tokens)
        if not drafted:
            return
        accepted = sequence.settle()
        self._drafts.count(drafted, accepted)
        if accepted < drafted and not self._prefixes.truncate(sequence):
            raise RuntimeError("a pool that cannot give up the end of a sequence has no drafts")

    def _await(self) -> None:
        """Nothing can be decoded before a mask is made, or the disk has read a state."""
        awaited: list[Future[Any]] = [*self._prefixes.saved.reads]
        awaited += [p for sequence in self._active if (p := sequence.sampler.pending) is not None]
        wait(awaited, _AWAIT_S, FIRST_COMPLETED)

    def _checkpoint(self) -> None:
        """After the tokens have gone out: it takes milliseconds."""
        for sequence in self._active:
            if sequence.has_begun and sequence.pending == 1:
                self._prefixes.checkpoint(sequence)

    def _leave(self, sequence: Sequence, *, keep: bool = True) -> None:
        self._active.remove(sequence)
        self._prefixes.release(sequence, keep=keep)
        self._forget(sequence)

    def _forget(self, sequence: Sequence) -> None:
        self._waiting.forget(sequence)
        sequence.sampler.free()

    def _fail(self, entries: list[BatchEntry], error: EngineFailed) -> None:
        log.error("%s", error.message)
        for entry in entries:
            self._leave(entry.sequence, keep=False)
            entry.sequence.fail(error)

    def _fail_all(self, error: EngineFailed) -> None:
        for sequence in list(self._active):
            self._leave(sequence, keep=False)
            sequence.fail(error)
        self._prefixes.saved.forget_all()

    def _end_all(self) -> None:
        for sequence in list(self._active):
            self._leave(sequence, keep=False)
            sequence.end("cancelled")
        while self._waiting:
            sequence = self._waiting.pop()
            self._forget(sequence)
            sequence.end("cancelled")
        while not self._inbox.empty():
            late = self._inbox.get()
            if isinstance(late, Sequence):
                late.sampler.free()
                late.end("cancelled")
        self._prefixes.saved.close()


def _resumed(sequence: Sequence) -> list[int]:
    token = sequence.sampler.resume()
    return [] if token is None else [token]
