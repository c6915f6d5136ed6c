"""Log probabilities of tokens: of those that were chosen, and of what else could have come.

They are the model's own, before anything changes them: no temperature, penalty, bias, mask.

A token's travel as one flat tuple of three values for each: id, text, log probability; first of
the token that was chosen, then of the likeliest, the likeliest first. The text has one character
for each byte of the token, since bytes need not be characters: it is Latin-1. So a token of 20
alternatives takes 700 bytes in the log, and no time to copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: The most alternatives of a token: OpenAI's bound of `top_logprobs`.
MOST_ALTERNATIVES = 20

#: One token's, as they travel; empty for a token that is no part of the content.
PackedLogprobs = tuple[int | str | float, ...]
#: Decimals that are kept: a batch's shape moves more.
_DECIMALS = 5
#: What stands for a token that cannot come at all: JSON has no infinity. OpenAI's number.
LEAST_LOGPROB = -9999.0


class Logprob(NamedTuple):
    """A token and the logarithm of its chance. Some twenty are made for each token."""

    token_id: int
    piece: bytes
    logprob: float


def pack(logprobs: Iterable[Logprob]) -> PackedLogprobs:
    """The chosen token's and the alternatives', as they travel."""
    packed: list[int | str | float] = []
    for token_id, piece, logprob in logprobs:
        packed += (
            token_id,
            piece.decode("latin-1"),
            round(max(logprob, LEAST_LOGPROB), _DECIMALS),
        )
    return tuple(packed)


def unpack(packed: PackedLogprobs) -> Iterator[Logprob]:
    """The chosen token's, then the alternatives'."""
    values = iter(packed)
    for token_id, piece, logprob in zip(values, values, values, strict=True):
        yield Logprob(int(token_id), str(piece).encode("latin-1"), float(logprob))
