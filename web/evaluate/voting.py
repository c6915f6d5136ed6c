"""Voting: which of several answers to one question stands. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def majority(answers: Sequence[str | None]) -> int:
    """The number of the first answer of those that say what most say.

    None is no vote. Where several are said equally often, the one that was said first stands;
    where nothing was said, the first.

    Raises:
        ValueError: there is no answer at all.
    """
    if not answers:
        raise ValueError("there is no answer to vote on")
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return 0
    most = max(votes.values())
    return next(
        at for at, answer in enumerate(answers) if answer is not None and votes[answer] == most
    )
