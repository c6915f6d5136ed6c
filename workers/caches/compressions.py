"""Compressions: what the fast model made of a text that was too long for the next step.

An entry is what one step said, by the hash of all that it was asked: the text, the target that it
was to be shortened to, what had to be kept. It is of one model with one hash, and of the API key
that asked: what one key has sent shows nowhere in the answers to another. Only steps at temperature
0 are kept whose plan says that they may be: never those that shorten a conversation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from workers.caches.cache import Cache
from workers.caches.kind import CacheKind, register
from workers.contract.step import Assignment

COMPRESSIONS = register(
    CacheKind(
        "compressions",
        "Texts between steps as the fast model has shortened them.",
        ttl_s=3600,
        front_bytes=4 * 2**20,
    )
)


class Compressions:
    """What one worker's model has made of texts."""

    def __init__(self, cache: Cache, model: str, model_hash: Callable[[], str | None]) -> None:
        """`model_hash` gives that of the files in memory; None while it is not known."""
        self._cache = cache
        self._model = model
        self._model_hash = model_hash

    def get(self, owner: str | None, assignment: Assignment) -> str | None:
        """What a step of this assignment said; None where nothing is kept."""
        id_ = self._id(owner, assignment)
        raw = None if id_ is None else self._cache.get(id_, self._model)
        try:
            said: Any = None if raw is None else json.loads(raw)
        except (ValueError, RecursionError):
            return None
        return said if isinstance(said, str) else None

    def store(self, owner: str | None, assignment: Assignment, said: str) -> None:
        """Keep what a step said, to its own end."""
        if (id_ := self._id(owner, assignment)) is not None:
            raw = json.dumps(said, ensure_ascii=False).encode(errors="replace")
            self._cache.store(id_, raw, self._model)

    def _id(self, owner: str | None, assignment: Assignment) -> str | None:
        """The entry of an assignment; None where nothing may be kept of it."""
        model_hash = self._model_hash()
        if not assignment.reusable or assignment.sampling.temperature or model_hash is None:
            return None
        asked = json.dumps([model_hash, owner, assignment.to_dict()], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()
