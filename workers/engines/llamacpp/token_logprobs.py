"""Log probabilities of tokens, from a row of logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.contract.logprobs import Logprob, PackedLogprobs, pack
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Logits are laid out as a table of so many rows, whose best columns have the likeliest tokens:
#: a tenth of the time of a partition of all.
_ROWS = 64


class TokenLogprobs:
    """The model's own chances: before biases, penalties, temperature and masks."""

    def __init__(self, vocabulary: Vocabulary, alternatives: int) -> None:
        self._vocabulary = vocabulary
        self._alternatives = alternatives

    def of(self, logits: NDArray[np.float32], token: int) -> PackedLogprobs:
        """Those of the token that was chosen and of the likeliest."""
        best = float(logits.max())
        total = best + float(np.log(np.exp(logits - best).sum(dtype=np.float64)))
        wanted = [token, *likeliest(logits, self._alternatives)]
        logprobs = (logits[wanted] - np.float64(total)).tolist()
        return pack(map(Logprob, wanted, map(self._vocabulary.spelling, wanted), logprobs))


def likeliest(logits: NDArray[np.float32], count: int) -> list[int]:
    """The tokens of the highest logits, the highest first."""
    if not count:
        return []
    columns = len(logits) // _ROWS
    in_table = columns * _ROWS
    kept = min(count, columns)
    maxima = logits[:in_table].reshape(_ROWS, columns).max(axis=0)
    # The highest `count` stand in the `count` columns of the highest maxima, or after the table.
    best = np.argpartition(-maxima, kept - 1)[:kept] if kept else np.empty(0, dtype=np.intp)
    places = (best + columns * np.arange(_ROWS)[:, None]).ravel()
    places = np.concatenate([places, np.arange(in_table, len(logits))])
    order = np.argsort(-logits[places])[:count]
    found: list[int] = places[order].tolist()
    return found
