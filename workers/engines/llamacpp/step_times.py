"""What a decoding step takes, by its rows: learned from the steps that were decoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: What a row more takes of what one alone does, as long as steps of one size alone were seen.
ROW_SHARE = 0.4
#: The part of the newest step in the average, where it was faster and where it was slower: a step
#: is slow for a moment where another process had its core.
_FASTER, _SLOWER = 0.5, 0.1


class StepTimes:
    """Seconds of steps that read no prompt."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def took(self, rows: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        before = self._seconds.get(rows, seconds)
        part = _FASTER if seconds < before else _SLOWER
        self._seconds[rows] = before + (seconds - before) * part

    def of(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Seconds of steps of so many rows each; what was not seen lies on a line with what was.

        Where nothing was seen, in units of a step of one row.
        """
        seen = sorted(self._seconds)
        if not seen:
            return np.asarray(1 + ROW_SHARE * (rows - 1), dtype=np.float64)
        seconds = [self._seconds[count] for count in seen]
        low, high = seen[0], seen[-1]
        row_s = seconds[0] * ROW_SHARE / (1 + ROW_SHARE * (low - 1))
        if high > low:
            row_s = max(0.0, (seconds[-1] - seconds[0]) / (high - low))
        inside = np.interp(rows, seen, seconds)
        outside = np.maximum(rows - high, 0) - np.maximum(low - rows, 0)
        # No row takes less alone than its part of many.
        times: NDArray[np.float64] = np.maximum(inside + outside * row_s, seconds[0] / low)
        return times
