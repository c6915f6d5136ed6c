"""Handoffs: what one round of a job hands to the next, for an hour, and not after the job's end.

They stand under the job's id and the round's number, so that a running job can be inspected. The
version before reads and writes the same keys, as plain JSON: so they carry no checksum, and who
reads one checks its form. What is lost is made anew from the job's steps.
"""

from __future__ import annotations

import json
from typing import Any

from workers.caches.cache import Cache
from workers.caches.kind import CacheKind, register
from workers.contract import keys

HANDOFFS = register(
    CacheKind(
        "handoffs",
        "What one round of a job hands to the next.",
        ttl_s=keys.HANDOFF_TTL_S,
        most_bytes=64 * 2**20,
        keys_begin="handoff",
        sealed=False,
    )
)


class Handoffs:
    """What rounds hand on."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def get(self, job_id: str, round_: int) -> Any:
        """The JSON that this round handed on; None: none is kept."""
        raw = self._cache.get(_id(job_id, round_))
        try:
            return None if raw is None else json.loads(raw)
        except (ValueError, RecursionError):  # cut, or no text at all
            return None

    def store(self, job_id: str, round_: int, state: dict[str, Any]) -> None:
        """Hand on what this round found, while the job has not ended."""
        raw = json.dumps(state, ensure_ascii=False).encode(errors="replace")
        self._cache.store(_id(job_id, round_), raw, job=job_id)


def _id(job_id: str, round_: int) -> str:
    return f"{job_id}:{round_}"
