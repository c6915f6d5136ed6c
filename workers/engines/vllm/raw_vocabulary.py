"""What is asked of a model's vocabulary where a caller writes the whole prompt."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from workers.engines.infill import InfillMarks, marks_among
from workers.engines.vllm.prompt_tokens import PromptTokens
from workers.engines.vllm.vocabulary import Vocabulary


class RawVocabulary:
    """A tokenizer, as `workers.engines.raw_prompts` asks for it."""

    def __init__(self, vocabulary: Vocabulary, prompt_tokens: PromptTokens) -> None:
        self._vocabulary = vocabulary
        self._prompt_tokens = prompt_tokens
        self.size = int(vocabulary.fast.get_vocab_size())
        self.longest_piece = prompt_tokens.longest_piece

    @functools.cached_property
    def infill_marks(self) -> InfillMarks | None:
        """The tokens that the model knows a gap by; None: it knows none."""
        return marks_among(self._vocabulary.fast.get_vocab())

    def beginning(self) -> list[int]:
        """What the tokenizer puts before every text: a BOS, or nothing."""
        around = self._vocabulary.fast.encode("").ids
        bos = self._vocabulary.fast.token_to_id(self._vocabulary.bos)
        return [bos] if bos is not None and around[:1] == [bos] else []

    def plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is a special token."""
        return self._prompt_tokens.plain(text)

    def parsed(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are read as such."""
        return self._vocabulary.tokenize(text)

    def whole_text(self, token_ids: Sequence[int]) -> str:
        """The text of ids, special tokens' too."""
        return str(self._vocabulary.fast.decode(list(token_ids), skip_special_tokens=False))
