"""A rendered prompt as token ids: the template's special tokens, all else as plain text.

Plain text between two special tokens is tokenised at once, whatever wrote which part of it, so
that an honest conversation gets the ids that llama.cpp gives the whole prompt.
"""

from __future__ import annotations

import functools
import re

import llama_cpp

from workers.engines.base import require_possible, require_room
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.long_texts import is_long, require_fitting
from workers.engines.special_tokens import (
    SpecialToken,
    SpecialTokens,
    split_within,
    stripped,
    written_by,
)
from workers.engines.system_prompts import SystemPrompt
from workers.engines.time_budget import TimeBudget

_SPECIAL = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
_UNKNOWN = llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
#: Added to the vocabulary as words: llama.cpp reads them out of any text.
_ADDED = llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
_PHASE = "tokenising the prompt"


class PromptTokens:
    """Makes the token ids of prompts of one model. Safe from several threads."""

    def __init__(
        self,
        model: str,
        vocabulary: Vocabulary,
        own_texts: frozenset[str],
        context_length: int | None,
    ) -> None:
        """`own_texts`: what the template writes by itself. `context_length` None: prompts may be
        of any length, since nothing is to answer them.
        """
        self._model = model
        self._vocabulary = vocabulary
        self._context_length = context_length
        words: list[str] = []
        tokens: list[SpecialToken] = []
        longest = 1
        for id_, text, attributes in vocabulary.tokens():
            longest = max(longest, len(text))
            if not attributes & (_SPECIAL | _UNKNOWN | _ADDED):
                continue
            decoded = text.decode("utf-8", "replace")
            is_word = not attributes & (_SPECIAL | _UNKNOWN)
            if is_word and not written_by(own_texts, decoded):
                continue
            if is_word and len(decoded) > 1:
                words.append(decoded)
            tokens.append(
                SpecialToken(
                    decoded,
                    id_,
                    strips_left=bool(attributes & llama_cpp.LLAMA_TOKEN_ATTR_LSTRIP),
                    strips_right=bool(attributes & llama_cpp.LLAMA_TOKEN_ATTR_RSTRIP),
                )
            )
            if not attributes & _UNKNOWN:
                vocabulary.never_in_text.add(id_)
        self._special = SpecialTokens(tokens)
        self._words = re.compile("|".join(map(re.escape, words)) or r"(?!)")
        #: Bytes of the longest token: no more of a text can be in one.
        self._longest = longest

    def of(
        self, prompt: TracedText, budget: TimeBudget, system: SystemPrompt | None = None
    ) -> list[int]:
        """The ids, with one BOS: the template's own or else the vocabulary's.

        Those of the `system` prompt may be kept.

        Raises:
            ContextBudgetExceeded: no answer fits after it.
            TimeBudgetExceeded: it took too long.
            workers.engines.time_budget.Cancelled: nobody waits any longer.
        """
        budget.phase = _PHASE
        most = self._context_length
        if most is not None:
            size_bytes = len(prompt.encode("utf-8", "replace"))
            require_possible(self._model, size_bytes, self._longest, most)
        parts = stripped(self._special.cut(prompt))
        ids: list[int] = []
        for part in parts:
            if not ids:
                begins = isinstance(part, SpecialToken) and part.text == self._vocabulary.bos
                ids += [] if begins else self._vocabulary.beginning()
            if isinstance(part, SpecialToken):
                ids.append(part.id)
            elif system is None:
                ids += self._part(part, len(ids), budget)
            else:
                make = functools.partial(self._part, part, len(ids), budget)
                ids += system.ids(part, make, self._vocabulary.size)
            budget.check()
            if most is not None and len(ids) >= most:
                is_whole = next(parts, None) is None
                require_room(self._model, len(ids), most, at_least=not is_whole)
        return ids or self._vocabulary.beginning()

    def _part(self, text: str, before: int, budget: TimeBudget) -> list[int]:
        """The ids of what stands between two special tokens."""
        ids: list[int] = []
        for piece in split_within(text, self._words):
            ids += self._plain(piece, before + len(ids), budget)
        return ids

    def _plain(self, text: str, before: int, budget: TimeBudget) -> list[int]:
        """The ids of a text that has no special tokens, whatever it says."""
        if self._context_length is not None and is_long(text):
            require_fitting(
                self._model, text, self._context_length, self._count, budget, before=before
            )
        return self._vocabulary.plain(text)

    def _count(self, text: str) -> int:
        return len(self._vocabulary.plain(text))
