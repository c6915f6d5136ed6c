"""Statistics of right and wrong answers. Pure.

Intervals are Wilson's score intervals (Wilson 1927; Brown, Cai and DasGupta 2001 recommend them for
few questions); differences between two ways to answer the same questions are judged by McNemar's
test (1947) in its exact form, which looks only at questions that one of them got right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: The 97.5th percentile of the normal distribution: intervals of 95 %.
Z = 1.959964


def wilson(right: int, of: int, z: float = Z) -> tuple[float, float]:
    """The interval in which the true share lies, 0 to 1, when `right` of `of` were counted.

    Raises:
        ValueError: nothing was counted, or more were right than there are.
    """
    if not 0 <= right <= of or of < 1:
        raise ValueError(f"{right} of {of} is no share")
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Change:
    """How answers to the same questions differ from those of another way to answer them."""

    #: Questions that both answered.
    of: int
    #: Wrong before, right now.
    better: int
    #: Right before, wrong now.
    worse: int

    @property
    def p(self) -> float:
        """How likely a difference this large is where there is none (McNemar, exact, two-sided)."""
        changed = self.better + self.worse
        fewer = min(self.better, self.worse)
        tail: float = sum(math.comb(changed, k) for k in range(fewer + 1)) / 2**changed
        return min(1.0, 2 * tail)


def change(before: Sequence[bool], now: Sequence[bool]) -> Change:
    """Compare two ways to answer, question by question."""
    pairs = list(zip(before, now, strict=True))
    return Change(
        of=len(pairs),
        better=sum(b and not a for a, b in pairs),
        worse=sum(a and not b for a, b in pairs),
    )


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which this part of them lies, between two values where it falls there.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no value")
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
