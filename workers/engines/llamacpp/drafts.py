"""Drafts: tokens that may come next, decoded in the same step as the one before them.

What is sampled after a row is what plain decoding would sample there, whatever was drafted. Where
the two are the same token, the next row is one that would have been decoded anyway. So drafts cost
rows, and change nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

import numpy as np
from numpy.typing import NDArray

from workers.engines.llamacpp.prompt_lookup import NO_DRAFT, Draft
from workers.engines.llamacpp.sequence import Sequence
from workers.engines.llamacpp.step_times import StepTimes

#: Drafted tokens of one answer, and of all, in a step. llama.cpp keeps the logits of each row: 4
#: bytes for each token of the vocabulary.
MOST_DRAFTED, MOST_ROWS = 16, 32
#: How many times as long a step may take with drafts, where answers run beside those that gain.
STRETCH = 1.5
#: What drafts must promise: estimates are not exact, and sampling costs too.
_LEAST_GAIN = 1.05


class Drafts:
    """Decides how many tokens are drafted in the next step."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._times = StepTimes()
        #: Drafted tokens so far, and those of them that stood.
        self.drafted = 0
        self.accepted = 0

    @property
    def most_rows(self) -> int:
        """Rows of drafts in a step at most."""
        return MOST_ROWS if self._enabled else 0

    def plan(self, running: Items[Sequence], room: int) -> list[Draft]:
        """A draft for each running answer, in their order. `room`: cells of the pool for them.

        Rows are added as long as the step is expected to give more tokens a second with them.
        """
        rows = len(running)
        most = min(room, self.most_rows)
        if most < 1 or not rows:
            return [NO_DRAFT] * rows
        seconds = self._times.of(rows + np.arange(most + 1))
        if rows > 1:
            most = int(np.searchsorted(seconds, STRETCH * seconds[0], "right")) - 1
        tokens, added, drafts = float(rows), 0, []
        for sequence in running:
            draft = NO_DRAFT
            left = min(most - added, MOST_DRAFTED)
            if left > 0 and _may_pay(tokens, seconds[added : added + left + 1]):
                draft = sequence.next_draft(left)
            if draft.tokens:
                pace = _paces(tokens, seconds[added:], np.asarray(draft.chances))
                best = int(pace.argmax())
                best = best if pace[best] >= _LEAST_GAIN * pace[0] else 0
                draft = draft.first(best)
                tokens, added = tokens + sum(draft.chances), added + best
            drafts.append(draft)
        return drafts

    def took(self, rows: int, seconds: float) -> None:
        """A step that read no prompt took so long."""
        if self._enabled:
            self._times.took(rows, seconds)

    def count(self, drafted: int, accepted: int) -> None:
        """So many tokens of a draft were accepted."""
        self.drafted += drafted
        self.accepted += accepted


def _may_pay(tokens: float, seconds: NDArray[np.float64]) -> bool:
    """Whether drafts pay that are right for certain."""
    pace = _paces(tokens, seconds, np.ones(len(seconds) - 1))
    return bool(pace.max() >= _LEAST_GAIN * pace[0])


def _paces(
    tokens: float, seconds: NDArray[np.float64], chances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tokens a second with no, one, two, ... tokens of a draft with these chances."""
    expected = tokens + np.concatenate(([0.0], np.cumsum(chances)))
    paces: NDArray[np.float64] = expected / seconds[: len(expected)]
    return paces
