"""A rendered prompt as token ids: the template's special tokens, all else as plain text.

A copy of the tokenizer knows the special tokens by names that cannot be guessed, and not by their
texts. The template's own are renamed before the whole prompt is tokenised in one go, so that an
honest conversation gets the ids that the tokenizer itself gives.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer

from workers.engines.base import require_possible, require_room
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.long_texts import is_long, require_fitting
from workers.engines.special_tokens import SpecialToken, SpecialTokens, written_by
from workers.engines.time_budget import TimeBudget

_PHASE = "tokenising the prompt"


class PromptTokens:
    """Makes the token ids of prompts of one model. Safe from several threads."""

    def __init__(
        self, model: str, fast: Any, own_texts: Iterable[str], context_length: int | None
    ) -> None:
        """`fast`: the model's tokenizer, which stays as it is; `own_texts`: what the template
        writes by itself. `context_length` None: prompts may be of any length, since nothing is to
        answer them.
        """
        self._model = model
        self._context_length = context_length
        own_texts = frozenset(own_texts)
        added = [
            (id_, token)
            for id_, token in fast.get_added_tokens_decoder().items()
            if token.special or written_by(own_texts, str(token.content))
        ]
        self._special = SpecialTokens(SpecialToken(str(t.content), id_) for id_, t in added)
        self._tokenizer = _plain(fast, frozenset(id_ for id_, _ in added))
        secret = secrets.token_hex(8)
        #: Id of a special token -> the name that stands for it in a text.
        self._names = {id_: f"\ufdd0{secret}{id_:x}\ufdd1" for id_, _ in added}
        self._tokenizer.add_tokens(
            [
                AddedToken(
                    self._names[id_],
                    lstrip=token.lstrip,
                    rstrip=token.rstrip,
                    single_word=token.single_word,
                    normalized=False,
                    special=False,
                )
                for id_, token in added
            ]
        )
        self._ids = {self._tokenizer.token_to_id(name): id_ for id_, name in self._names.items()}
        #: Bytes of the longest token: no more of a text can be in one.
        self.longest_piece = max(len(token.encode()) for token in fast.get_vocab())

    def of(self, prompt: TracedText, budget: TimeBudget) -> list[int]:
        """The ids; a BOS is the template's own.

        Raises:
            ContextBudgetExceeded: no answer fits after it.
            TimeBudgetExceeded: it took too long.
            workers.engines.time_budget.Cancelled: nobody waits any longer.
        """
        budget.phase = _PHASE
        most = self._context_length
        if most is not None:
            size_bytes = len(prompt.encode("utf-8", "replace"))
            require_possible(self._model, size_bytes, self.longest_piece, most)
            self._require_fitting(prompt, most, budget)
        named = "".join(
            self._names[part.id] if isinstance(part, SpecialToken) else part
            for part in self._special.cut(prompt)
        )
        ids = [self._ids.get(id_, id_) for id_ in self.plain(named)]
        budget.check()
        if most is not None:
            require_room(self._model, len(ids), most)
        return ids

    def count(self, text: str) -> int:
        """The tokens of a text in which nothing is special."""
        return len(self.plain(text))

    def plain(self, text: str) -> list[int]:
        """The ids of a text in which nothing is special."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _require_fitting(self, prompt: TracedText, most: int, budget: TimeBudget) -> None:
        text = str.__str__(prompt)
        if not is_long(text):
            return
        # Special tokens are counted as text here, a token for each character at most.
        special = sum(
            len(part.text) for part in self._special.cut(prompt) if isinstance(part, SpecialToken)
        )
        require_fitting(self._model, text, most, self.count, budget, before=-special)


def _plain(fast: Any, special: frozenset[int]) -> Tokenizer:
    """A copy of a tokenizer that reads none of these tokens out of a text."""
    description = json.loads(fast.to_str())
    for token in description["added_tokens"]:
        if token["id"] in special:
            token["special"] = True
    copy = Tokenizer.from_str(json.dumps(description))
    copy.encode_special_tokens = True
    copy.no_padding()
    copy.no_truncation()
    return copy
