"""Tokens that would end an answer which is not to end by itself yet."""

from __future__ import annotations

from workers.contract.sampling import Sampling


class BannedEnds:
    """Follows one answer by the number of its tokens."""

    def __init__(self, sampling: Sampling, ends: frozenset[int], produced: int) -> None:
        """`ends`: tokens with which the model ends its turn; `produced`: how many there are."""
        #: Tokens up to `min_tokens`.
        self.left = max(0, sampling.min_tokens - produced)
        #: Banned for all of the answer.
        self.always = ends if sampling.ignore_eos else frozenset[int]()
        #: Banned, besides, up to `min_tokens`.
        self.early = ends.union(sampling.stop_token_ids) if self.left else frozenset[int]()

    @property
    def now(self) -> frozenset[int]:
        """The tokens that are banned now."""
        return self.always | self.early

    def lifted_by_one_more(self) -> bool:
        """Count a token; whether the ban up to `min_tokens` ends with it."""
        if not self.left:
            return False
        self.left -= 1
        if self.left:
            return False
        self.early = frozenset()
        return True
