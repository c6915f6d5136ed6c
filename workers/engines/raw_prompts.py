"""A caller's own whole prompt as token ids: its text, its ids, or what stands around a gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.engines.base import require_possible, require_room
from workers.engines.infill import ROOM_FOR_ANSWER, InfillMarks, assemble
from workers.engines.long_texts import is_long, require_fitting
from workers.engines.time_budget import TimeBudget

#: The parameter that holds it.
_PARAM = "prompt"
_PHASE = "tokenising the prompt"


class SizedVocabulary(Protocol):
    """A vocabulary of any model."""

    @property
    def size(self) -> int:
        """Tokens it has; ids are below that."""


class PromptVocabulary(SizedVocabulary, Protocol):
    """What is asked of a model's vocabulary."""

    @property
    def longest_piece(self) -> int:
        """Bytes of its longest token."""

    @property
    def infill_marks(self) -> InfillMarks | None:
        """The tokens that the model knows a gap by; None: it knows none."""

    def beginning(self) -> list[int]:
        """What every prompt begins with."""

    def plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is a special token."""

    def parsed(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are read as such, and none is added."""

    def whole_text(self, token_ids: Sequence[int]) -> str:
        """The text of ids, special tokens' too."""


def begun(ids: list[int], beginning: list[int]) -> list[int]:
    """The ids with what every prompt begins with; who writes that out means it, and not twice."""
    return ids if ids[: len(beginning)] == beginning else [*beginning, *ids]


def require_ids(
    model: str, ids: Sequence[int], vocabulary: SizedVocabulary, *, param: str = _PARAM
) -> None:
    """Refuse ids of which one is none of the vocabulary's.

    Raises:
        ValidationFailed: names the first.
    """
    size = vocabulary.size
    wrong = next((id_ for id_ in ids if not 0 <= id_ < size), None)
    if wrong is not None:
        raise ValidationFailed(
            f"{param} holds the token id {wrong}; those of {model} are 0 to {size - 1}.",
            details={"param": param},
        )


class RawPrompts:
    """Makes the token ids of prompts of one model. Safe from several threads."""

    def __init__(self, model: str, vocabulary: PromptVocabulary, context_length: int) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._context_length = context_length

    def of(self, prompt: Prompt, sampling: Sampling, budget: TimeBudget) -> list[int]:
        """The ids, at least one.

        Raises:
            ValidationFailed: an id is none of the vocabulary's, or there is nothing to read.
            UnsupportedParameter: it has a gap, and the model knows none.
            ContextBudgetExceeded: no answer fits after it.
            TimeBudgetExceeded: it took too long.
            workers.engines.time_budget.Cancelled: nobody waits any longer.
        """
        budget.phase = _PHASE
        if prompt.token_ids is not None:
            ids = self._checked(prompt.token_ids)
        elif prompt.suffix is not None:
            ids = self._around(prompt, sampling, budget)
        else:
            ids = self._read(prompt, budget)
        budget.check()
        if not ids:
            raise ValidationFailed(
                f"{_PARAM} is empty, and {self._model} has no token that a text begins with. Send "
                "some text.",
                details={"param": _PARAM},
            )
        require_room(self._model, len(ids), self._context_length, param=_PARAM)
        return ids

    def text_of(self, prompt: Prompt) -> str:
        """What an answer repeats of a prompt that `of` has taken."""
        if prompt.token_ids is None:
            return prompt.text
        return self._vocabulary.whole_text(prompt.token_ids)

    def _checked(self, ids: tuple[int, ...]) -> list[int]:
        """Ids that came as such; nothing is put before them."""
        require_room(self._model, len(ids), self._context_length, param=_PARAM)
        require_ids(self._model, ids, self._vocabulary)
        return list(ids)

    def _read(self, prompt: Prompt, budget: TimeBudget) -> list[int]:
        self._require_possible(prompt.text, budget)
        read = self._vocabulary.parsed if prompt.parse_special else self._vocabulary.plain
        return begun(read(prompt.text), self._vocabulary.beginning())

    def _around(self, prompt: Prompt, sampling: Sampling, budget: TimeBudget) -> list[int]:
        marks = self._vocabulary.infill_marks
        if marks is None:
            raise UnsupportedParameter(
                f"{self._model} has no tokens that mark a gap, so it cannot fill one in: name a "
                "model of GET /v1/models whose capabilities have fim, or leave the suffix out.",
                details={"param": "suffix"},
            )
        around = () if prompt.may_be_cut else (prompt.text, prompt.suffix or "")
        for text in (*around, prompt.middle):
            self._require_possible(text, budget)
        answer = min(sampling.max_tokens or ROOM_FOR_ANSWER, self._context_length // 2)
        vocabulary, room = self._vocabulary, self._context_length - answer
        return assemble(marks, prompt, vocabulary.plain, vocabulary.beginning(), room)

    def _require_possible(self, text: str, budget: TimeBudget) -> None:
        """Refuse by its length, or piece by piece, what cannot fit."""
        size_bytes, longest = len(text.encode("utf-8", "replace")), self._vocabulary.longest_piece
        require_possible(self._model, size_bytes, longest, self._context_length, param=_PARAM)
        if is_long(text):
            require_fitting(
                self._model,
                text,
                self._context_length,
                lambda piece: len(self._vocabulary.parsed(piece)),
                budget,
                before=0,
                param=_PARAM,
            )
