"""Prompt lookup: an answer that repeats a text is drafted from where it stood before.

The text is what the answer may repeat: what its caller predicts, the prompt, and the answer so far.
Who follows it reads along with every token of the answer, drafted or not, and so learns for nothing
how often the text is right: no token is ever drafted to find that out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import numpy as np

#: The last tokens of the answer that must have stood before, at least and at most. Three is what
#: prompt lookup has in llama.cpp and vLLM; of several places that with more of them is taken.
LEAST_MATCH, MOST_MATCH = 3, 16
#: Tokens in a row that the text had right -> the chance of the next, where nothing was counted.
#: Three tokens stand twice in most texts; eleven only where one repeats the other.
RUNS: tuple[tuple[int, float], ...] = ((0, 0.4), (2, 0.7), (8, 0.95))
#: So many tokens count like a prior chance.
_PRIOR_TOKENS = 4
#: Of older tokens each newer one lets so much count.
_MEMORY = 1 - 1 / 64
#: Where the text was right for so long and is not, it goes on nearby: so many tokens of it are
#: looked at, for so many tokens of the answer. One that is found there counts as a run of two.
_LONG_RUN, _NEARBY, _NEARBY_RUN = RUNS[-1][0], 32, RUNS[1][0]


@dataclass(frozen=True, slots=True)
class Draft:
    """Tokens that may come next."""

    tokens: tuple[int, ...] = ()
    #: For each, the chance that it and all before it come.
    chances: tuple[float, ...] = ()
    #: They are the caller's prediction.
    is_predicted: bool = False

    def first(self, length: int) -> Draft:
        """The first tokens of it."""
        return Draft(self.tokens[:length], self.chances[:length], self.is_predicted)


NO_DRAFT = Draft()


class PromptLookup:
    """Follows one answer in the texts that it may repeat."""

    def __init__(
        self, tokens: Iterable[int], prediction: Sequence[int] = (), *, produced: int = 0
    ) -> None:
        """`tokens`: prompt and answer, of which the last `produced` are the answer's."""
        self._text = array("i", [*prediction, *tokens])
        self._predicted = len(prediction)
        begins = bool(prediction) and not produced
        #: Place of the token that should come next; None: the answer is nowhere in the text.
        self._next: int | None = 0 if begins else None
        #: Tokens in a row that the text had right. What is predicted counts as if it had been.
        self._run = _LONG_RUN if begins else 0
        #: The place that was last wrong after a long run, and the length of the text then.
        self._lost: tuple[int, int] | None = None
        self._right = [chance * _PRIOR_TOKENS for _, chance in RUNS]
        self._counted = [float(_PRIOR_TOKENS)] * len(RUNS)

    def take(self, token: int) -> None:
        """The token that came."""
        if self._next is not None:
            self._compare(self._next, token)
        self._text.append(token)

    def draft(self, most: int) -> Draft:
        """What may come next: so many tokens at most."""
        if self._next is None:
            self._next = self._nearby() or self._find()
        if self._next is None or most < 1:
            return NO_DRAFT
        begin, is_predicted = self._next, self._next < self._predicted
        end = self._predicted if is_predicted else len(self._text)
        tokens = self._text[begin : min(begin + most, end)]
        runs = range(self._run, self._run + len(tokens))
        chances = accumulate(map(self._chance, runs), mul)
        return Draft(tuple(tokens), tuple(chances), is_predicted)

    def _compare(self, place: int, token: int) -> None:
        is_right = self._text[place] == token
        kind = _kind(self._run)
        self._right[kind] = self._right[kind] * _MEMORY + is_right
        self._counted[kind] = self._counted[kind] * _MEMORY + 1
        if is_right:
            # After the prediction begins the prompt, which is another text.
            self._next = place + 1 if place + 1 != self._predicted else None
            self._run += 1
            return
        if self._run >= _LONG_RUN:
            self._lost = place, len(self._text)
        self._next, self._run = None, 0

    def _chance(self, run: int) -> float:
        kind = _kind(run)
        return self._right[kind] / self._counted[kind]

    def _nearby(self) -> int | None:
        """The place after the last token, where that stands soon after where the text was wrong."""
        if self._lost is None:
            return None
        lost, length = self._lost
        if len(self._text) - length > _NEARBY:
            self._lost = None
            return None
        end = self._predicted if lost < self._predicted else length
        begin, last = lost + 1, self._text[-1]
        for place, token in enumerate(self._text[begin : min(begin + _NEARBY, end - 1)], begin):
            if token == last:
                self._run = _NEARBY_RUN
                return place + 1
        return None

    def _find(self) -> int | None:
        """The place after the last tokens, where most of them stood before, the latest such."""
        text = np.frombuffer(self._text, dtype=np.intc)
        last = len(text) - 1
        places = np.flatnonzero(text[:last] == text[last])
        length = 1
        for length in range(1, MOST_MATCH):
            places_with_more = places[places >= length]
            matches = text[places_with_more - length] == text[last - length]
            if not matches.any():
                break
            places = places_with_more[matches]
        if length < LEAST_MATCH or not len(places):
            return None
        place = int(places[-1]) + 1
        return None if place == self._predicted else place


def _kind(run: int) -> int:
    """Which of `RUNS` a run belongs to."""
    return max(kind for kind, (least, _) in enumerate(RUNS) if run >= least)
