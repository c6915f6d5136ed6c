"""Prompts: the token ids of long system prompts, by the hash of the model that reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from workers.caches.cache import Cache
from workers.caches.kind import CacheKind, register
from workers.caches.model_entries import ModelEntries

PROMPTS = register(
    CacheKind(
        "prompts",
        "Token ids of long system prompts.",
        ttl_s=3600,
        front_bytes=16 * 2**20,
    )
)
_ID_BYTES = 4


class Prompts:
    """The system prompts of one worker's model."""

    def __init__(self, cache: Cache, model: str, model_hash: Callable[[], str | None]) -> None:
        """As `ModelEntries`."""
        self._entries = ModelEntries(cache, model, model_hash)

    def get(self, owner: str | None, text: str) -> Sequence[int] | None:
        """The token ids of a text; None where none are kept."""
        raw = self._entries.get(owner, text)
        if raw is None or len(raw) % _ID_BYTES:
            return None
        return struct.unpack(f"<{len(raw) // _ID_BYTES}i", raw)

    def store(self, owner: str | None, text: str, ids: Sequence[int]) -> None:
        """Keep the token ids of a text."""
        self._entries.store(owner, text, struct.pack(f"<{len(ids)}i", *ids))
