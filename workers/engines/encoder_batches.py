"""Batching over callers: one thread that computes the vectors of everybody's texts.

A request is taken apart into its texts, and each gets a time at which it is due: when the request
came, and after that as long as the texts before it in the same request and it itself take. What is
due first is computed first. So a short text that comes now stands before the rest of a long request
that came earlier, and before a long text; and nothing waits for ever, since what comes later is due
later. A batch is small, so that the next choice is soon: what has begun is not interrupted.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from workers.background import BackgroundThread
from workers.contract.errors import EngineFailed, InferenceError
from workers.contract.job import Priority
from workers.engines.encoder import BatchEncoder, Vectors

log = logging.getLogger(__name__)

#: What is read at once, a text or a pair of them; its length is its tokens.
Item = TypeVar("Item", bound=Sized)
#: Tokens a second of a model that has computed nothing yet, and the weight of the last batch in the
#: average of what it takes.
_FIRST_PACE, _WEIGHT = 2000.0, 0.2
#: Seconds between two looks whether the caller has gone.
_LOOK_S = 0.1


@dataclass(eq=False, slots=True)
class _Request:
    """A caller's texts, while they are computed."""

    vectors: Vectors
    left: int
    cancelled: threading.Event
    ended: threading.Event = field(default_factory=threading.Event)
    error: InferenceError | None = None

    @property
    def is_wanted(self) -> bool:
        return not self.cancelled.is_set() and not self.ended.is_set()


@dataclass(frozen=True, slots=True)
class _Text(Generic[Item]):
    """One text of a request."""

    request: _Request
    row: int
    item: Item


#: The most urgent first, then what is due first, then the oldest.
_Rank = tuple[int, float, int]


class EncoderBatches(BackgroundThread, Generic[Item]):
    """The thread that owns an encoder."""

    def __init__(self, encoder: BatchEncoder[Item]) -> None:
        super().__init__("encode")
        self._encoder = encoder
        self._inbox: queue.SimpleQueue[list[tuple[_Rank, _Text[Item]]] | None] = queue.SimpleQueue()
        self._waiting: list[tuple[_Rank, _Text[Item]]] = []
        self._ages = itertools.count()
        self._pace = _FIRST_PACE
        self._moved_at = time.perf_counter()
        #: Texts in the batch that is computed now.
        self.rows = 0

    @property
    def stalled_s(self) -> float:
        """Seconds since the last batch ended, while there is work; 0 where there is none."""
        busy = self.rows or self._waiting
        return time.perf_counter() - self._moved_at if busy else 0.0

    def compute(
        self, texts: Sequence[Item], priority: Priority, cancelled: threading.Event
    ) -> Vectors | None:
        """The vectors of texts, in their order; None where they were cancelled. From any thread.

        Raises:
            EngineFailed: they could not be computed.
        """
        vectors = np.empty((len(texts), self._encoder.dimensions), dtype=np.float32)
        request = _Request(vectors, len(texts), cancelled)
        due = time.perf_counter()
        ranked: list[tuple[_Rank, _Text[Item]]] = []
        for row, item in enumerate(texts):
            due += len(item) / self._pace
            ranked.append(((-priority, due, next(self._ages)), _Text(request, row, item)))
        self._inbox.put(ranked)
        while not request.ended.wait(_LOOK_S):
            if cancelled.is_set():
                return None
            if not self._thread.is_alive():
                raise EngineFailed("The engine is closed.")
        if request.error is not None:
            raise request.error
        return None if cancelled.is_set() else request.vectors

    def stop(self) -> None:
        """End after the batch that is computed now."""
        self._inbox.put(None)
        self._join(None)

    def _run(self) -> None:
        while self._receive():
            if batch := self._next():
                self._compute(batch)
            self._moved_at = time.perf_counter()

    def _receive(self) -> bool:
        """Queue what came; without work, sleep until something does. False at the end."""
        while not self._waiting or not self._inbox.empty():
            ranked = self._inbox.get()
            if ranked is None:
                return False
            if not self._waiting:
                self._moved_at = time.perf_counter()
            for entry in ranked:
                heapq.heappush(self._waiting, entry)
        return True

    def _next(self) -> list[_Text[Item]]:
        """The texts of the next batch, at least one where any is wanted."""
        batch: list[_Text[Item]] = []
        tokens = 0
        while self._waiting and len(batch) < self._encoder.batch_texts:
            text = self._waiting[0][1]
            if text.request.is_wanted:
                tokens += len(text.item)
                if batch and tokens > self._encoder.batch_tokens:
                    break
                batch.append(text)
            heapq.heappop(self._waiting)
        return batch

    def _compute(self, batch: list[_Text[Item]]) -> None:
        self.rows = len(batch)
        began = time.perf_counter()
        try:
            vectors = self._encoder.encode([text.item for text in batch])
        except Exception as error:
            log.exception("a batch of %d texts could not be computed", len(batch))
            failure = error if isinstance(error, InferenceError) else EngineFailed()
            for text in batch:
                text.request.error = failure
                text.request.ended.set()
            return
        finally:
            self.rows = 0
        tokens = sum(len(text.item) for text in batch)
        pace = tokens / max(1e-6, time.perf_counter() - began)
        self._pace += _WEIGHT * (pace - self._pace)
        for text, vector in zip(batch, vectors, strict=True):
            text.request.vectors[text.row] = vector
            text.request.left -= 1
            if not text.request.left:
                text.request.ended.set()
