"""Prompts: the token ids of long system prompts, by the hash of the model that reads them.

They are of the API key that sent them: how fast another's answer comes does not tell whether
somebody has the same system prompt.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Sequence

from workers.caches.cache import Cache
from workers.caches.kind import CacheKind, register

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
        """`model_hash` gives that of the files in memory; None while it is not known."""
        self._cache = cache
        self._model = model
        self._model_hash = model_hash

    def get(self, owner: str | None, text: str) -> Sequence[int] | None:
        """The token ids of a text; None where none are kept."""
        id_ = self._id(owner, text)
        raw = None if id_ is None else self._cache.get(id_, self._model)
        if raw is None or len(raw) % _ID_BYTES:
            return None
        return struct.unpack(f"<{len(raw) // _ID_BYTES}i", raw)

    def store(self, owner: str | None, text: str, ids: Sequence[int]) -> None:
        """Keep the token ids of a text."""
        if (id_ := self._id(owner, text)) is not None:
            self._cache.store(id_, struct.pack(f"<{len(ids)}i", *ids), self._model)

    def _id(self, owner: str | None, text: str) -> str | None:
        model_hash = self._model_hash()
        if model_hash is None:
            return None
        asked = json.dumps([model_hash, owner, text])
        return hashlib.sha256(asked.encode()).hexdigest()
