"""How much of something one API key may hold at once, so that others still get in."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator

from workers.contract.errors import TemporaryResource


class KeyShares:
    """What each key holds now of one kind of thing, in this front end."""

    def __init__(self, share: float, what: str) -> None:
        """`share` is the part that a key may hold; `what` completes "of the ..."."""
        self._share, self._what = share, what
        self._held: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def holding(self, key: str | None, total: int) -> Iterator[None]:
        """Hold one of `total` in a key's name; None: nobody to share with.

        A share of 1 bounds nothing here: the bound of all keys together holds.

        Raises:
            TemporaryResource: the key holds its share.
        """
        if key is None or self._share >= 1:
            yield
            return
        most = max(1, int(self._share * total))
        with self._lock:
            if self._held[key] >= most:
                raise TemporaryResource(
                    f"This API key holds {most} of the {self._what}, as many as "
                    "INFERENCE_MAX_KEY_SHARE leaves to one key. Try again when one of them ends.",
                    details={"bound": "key_share", "limit": most},
                )
            self._held[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[key] -= 1
                if not self._held[key]:
                    del self._held[key]
