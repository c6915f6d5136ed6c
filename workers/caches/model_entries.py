"""The entries of one worker's model in a cache: each by the hash of the model and what was asked.

They are of the API key that asked: what one key has sent shows nowhere in the answers to another,
not even in how fast they come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from workers.caches.cache import Cache


class ModelEntries:
    """What is kept for the model that this worker has in memory."""

    def __init__(self, cache: Cache, model: str, model_hash: Callable[[], str | None]) -> None:
        """`model_hash` gives that of the files in memory; None while it is not known."""
        self._cache = cache
        self._model = model
        self._model_hash = model_hash

    def get(self, owner: str | None, asked: Any) -> bytes | None:
        """The value for what this API key asked, which is JSON-ready; None: a miss."""
        id_ = self._id(owner, asked)
        return None if id_ is None else self._cache.get(id_, self._model)

    def store(self, owner: str | None, asked: Any, value: bytes) -> None:
        """Keep the value for what this API key asked, where the model's hash is known."""
        if (id_ := self._id(owner, asked)) is not None:
            self._cache.store(id_, value, self._model)

    def _id(self, owner: str | None, asked: Any) -> str | None:
        model_hash = self._model_hash()
        if model_hash is None:
            return None
        text = json.dumps([model_hash, owner, asked], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
