"""A model's tokenizer and chat template without its weights: the ids that its worker would read.

An engine makes one of the same parts that its `generate` works with, so that both count alike.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

from workers.contract.wrong_kind import wrong_kind
from workers.engines.base import GenerationRequest
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.dialogue import Dialogue
from workers.engines.raw_prompts import (
    PromptVocabulary,
    SizedVocabulary,
    begun,
    require_ids,
)
from workers.engines.time_budget import TimeBudget

_PHASE = "tokenising the text"


class ModelTokenizer(Protocol):
    """What counts for one model. Safe from several threads; freed with the last who holds it."""

    def of_messages(self, request: GenerationRequest, budget: TimeBudget) -> Sequence[int]:
        """The ids of the request's messages and tools, as its model's template renders them.

        Raises:
            ValidationFailed: the template refuses these messages.
            WrongModelKind: the model answers no chat.
            TimeBudgetExceeded: it took too long.
        """

    def of_text(self, text: str, budget: TimeBudget, *, add_special: bool) -> Sequence[int]:
        """The ids of a caller's own prompt, special tokens in it read as such."""

    def count(self, text: str) -> int:
        """The tokens of a text in which nothing is special."""

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text of ids, special tokens' too.

        Raises:
            ValidationFailed: one of them is no token.
        """


class PromptIds(Protocol):
    """Makes the ids of a rendered prompt."""

    def of(self, prompt: TracedText, budget: TimeBudget) -> list[int]:
        """The ids, however many."""


class DialogueTokenizer:
    """The tokenizer of a model that has a vocabulary and a chat template."""

    def __init__(
        self,
        model: str,
        dialogue: Dialogue,
        prompt_ids: PromptIds,
        vocabulary: PromptVocabulary,
        free: Callable[[], None] = lambda: None,
    ) -> None:
        """`free` gives back what the vocabulary holds, when nobody has this any longer: a thread
        that still counts with it does.
        """
        self._model = model
        self._dialogue = dialogue
        self._prompt_ids = prompt_ids
        self._vocabulary = vocabulary
        weakref.finalize(self, free)

    def of_messages(self, request: GenerationRequest, budget: TimeBudget) -> list[int]:
        """See `ModelTokenizer.of_messages`."""
        return self._prompt_ids.of(self._dialogue.prompt(request, budget), budget)

    def of_text(self, text: str, budget: TimeBudget, *, add_special: bool) -> list[int]:
        """See `ModelTokenizer.of_text`."""
        budget.phase = _PHASE
        ids = self._vocabulary.parsed(text)
        budget.check()
        return begun(ids, self._vocabulary.beginning()) if add_special else ids

    def count(self, text: str) -> int:
        """See `ModelTokenizer.count`."""
        return len(self._vocabulary.plain(text))

    def text_of(self, token_ids: Sequence[int]) -> str:
        """See `ModelTokenizer.text_of`."""
        require_ids(self._model, token_ids, self._vocabulary, param="tokens")
        return self._vocabulary.whole_text(token_ids)


class EncoderVocabulary(SizedVocabulary, Protocol):
    """What is asked of the vocabulary of a model that reads texts and writes none."""

    def ids(self, text: str, *, around: bool) -> list[int]:
        """The ids of a text; `around`: with those that the model expects around it."""

    def whole_text(self, token_ids: Sequence[int]) -> str:
        """The text of ids, special tokens' too."""


class EncoderTokenizer:
    """The tokenizer of a model that embeds or ranks: texts as its worker reads them, no chats."""

    def __init__(
        self,
        model: str,
        kind: str,
        vocabulary: EncoderVocabulary,
        free: Callable[[], None] = lambda: None,
    ) -> None:
        """`kind`: the model's, by its word in the catalogue. `free`: see `DialogueTokenizer`."""
        self._model = model
        self._kind = kind
        self._vocabulary = vocabulary
        weakref.finalize(self, free)

    def of_messages(self, request: GenerationRequest, budget: TimeBudget) -> Sequence[int]:
        """There is no template.

        Raises:
            WrongModelKind: always.
        """
        raise wrong_kind(self._model, self._kind)

    def of_text(self, text: str, budget: TimeBudget, *, add_special: bool) -> list[int]:
        """See `ModelTokenizer.of_text`; as `usage` of the model's own address counts it."""
        budget.phase = _PHASE
        ids = self._vocabulary.ids(text, around=add_special)
        budget.check()
        return ids

    def count(self, text: str) -> int:
        """See `ModelTokenizer.count`."""
        return len(self._vocabulary.ids(text, around=False))

    def text_of(self, token_ids: Sequence[int]) -> str:
        """See `ModelTokenizer.text_of`."""
        require_ids(self._model, token_ids, self._vocabulary, param="tokens")
        return self._vocabulary.whole_text(token_ids)
