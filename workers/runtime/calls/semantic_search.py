"""The call `semantic.search`: a question's vector, and entries of its scope that are near to it.

The index follows the entries in Redis, wherever they were stored: each search first reads what was
stored since the last one. So every worker of the model has all entries, and one that starts anew
reads them with its first search.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from workers.caches.cache import Cache
from workers.caches.semantic import MOST_CANDIDATES, SEARCH, SEMANTIC, decode_vector, vector_end
from workers.contract.embedding import Embedding, encoded
from workers.contract.errors import EngineFailed, ValidationFailed
from workers.contract.job import Priority
from workers.engines.embedding_engine import EmbeddingEngine
from workers.runtime.calls.registry import CallResources, Handler, register
from workers.runtime.calls.semantic_index import SemanticIndex, Vector

#: Members in the index that Redis has no longer: above so many it is compared as a whole.
_MOST_STALE = 256
#: Entries that are read from Redis at once.
_BATCH = 500
#: Bytes of a scope: SHA-256.
_SCOPE_BYTES = 32


class SemanticSearch:
    """Answers searches with one engine; safe from several threads."""

    def __init__(self, engine: EmbeddingEngine, cache: Cache) -> None:
        """`cache`: that of `SEMANTIC`, of which values are read and none is stored."""
        self._engine = engine
        self._cache = cache
        self._index = SemanticIndex(engine.dimensions)
        self._lock = threading.Lock()
        self._generation: int | None = None
        #: The latest use that was seen, by Redis TIME.
        self._seen_ms = 0

    def __call__(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """`{"text", "scope", "threshold"}` -> `{"vector", "candidates": [[id, cosine], ...]}`.

        Raises:
            ValidationFailed: the body is no search.
            InferenceError: as `EmbeddingEngine.embed`; a text that is too long is not cut.
            redis.RedisError: Redis is away.
        """
        text, scope, threshold = _read(body)
        embedded = self._engine.embed(Embedding((text,)), threading.Event(), Priority.HIGH)
        if embedded is None:
            raise EngineFailed("The engine is closed.")
        vector = embedded.vectors[0]
        with self._lock:
            self._follow()
            near = self._near(scope, vector, threshold)
        return {"vector": encoded(vector.astype("<f4").tobytes()), "candidates": near}

    def _near(self, scope: bytes, vector: Vector, threshold: float) -> list[tuple[str, float]]:
        """The nearest members that Redis still has."""
        while near := self._index.nearest(scope, vector, threshold, MOST_CANDIDATES):
            gone = self._cache.gone([member for member, _ in near])
            if not gone:
                break
            for member in gone:
                self._index.remove(member)
        return near

    def _follow(self) -> None:
        """Add what was stored since the last search, and forget what was dropped."""
        news = self._cache.used_since(self._seen_ms)
        dropped = news.generation != self._generation
        if dropped or len(self._index) > news.entries + _MOST_STALE:
            news = self._cache.used_since(0)
            for member in self._index.members() - news.members.keys():
                self._index.remove(member)
        missing = [member for member in news.members if member not in self._index]
        for begin in range(0, len(missing), _BATCH):
            self._add(missing[begin : begin + _BATCH])
        self._generation = news.generation
        self._seen_ms = max([self._seen_ms, *news.members.values()])

    def _add(self, members: list[str]) -> None:
        length = vector_end(self._index.dimensions)
        for member, raw in zip(members, self._cache.beginnings(members, length), strict=True):
            head = decode_vector(raw)
            if head is None:  # gone, broken, of another form or of another model
                continue
            scope, numbers = head
            vector = np.frombuffer(numbers, "<f4")
            if len(vector) == self._index.dimensions and np.isfinite(vector).all():
                self._index.add(member, scope, vector)


def _read(body: Mapping[str, Any]) -> tuple[str, bytes, float]:
    match body:
        case {"text": str(text), "scope": str(scope), "threshold": float(threshold)}:
            try:
                digest = bytes.fromhex(scope)
            except ValueError:
                digest = b""
            if len(digest) == _SCOPE_BYTES and 0 < threshold <= 1:
                return text, digest, threshold
    raise ValidationFailed("This is no search.")


def _handler(resources: CallResources) -> Handler | None:
    engine = resources.engine
    if not isinstance(engine, EmbeddingEngine):
        return None
    return SemanticSearch(engine, Cache(SEMANTIC, resources.redis))


register(SEARCH, _handler)
