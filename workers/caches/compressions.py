"""Compressions: what the fast model made of a text that was too long for the next step.

An entry is what one step said, by the hash of all that it was asked: the text, the target that it
was to be shortened to, what had to be kept. Only steps at temperature 0 are kept whose plan says
that they may be: never those that shorten a conversation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from workers.caches.cache import Cache
from workers.caches.kind import CacheKind, register
from workers.caches.model_entries import ModelEntries
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
        """As `ModelEntries`."""
        self._entries = ModelEntries(cache, model, model_hash)

    def get(self, owner: str | None, assignment: Assignment) -> str | None:
        """What a step of this assignment said; None where nothing is kept."""
        raw = self._entries.get(owner, assignment.to_dict()) if _may_keep(assignment) else None
        try:
            said: Any = None if raw is None else json.loads(raw)
        except (ValueError, RecursionError):
            return None
        return said if isinstance(said, str) else None

    def store(self, owner: str | None, assignment: Assignment, said: str) -> None:
        """Keep what a step said, to its own end."""
        if _may_keep(assignment):
            raw = json.dumps(said, ensure_ascii=False).encode(errors="replace")
            self._entries.store(owner, assignment.to_dict(), raw)


def _may_keep(assignment: Assignment) -> bool:
    return assignment.reusable and not assignment.sampling.temperature
