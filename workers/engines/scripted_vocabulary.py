"""The vocabulary that the scripted engine reads prompts with: a token for each word."""

from __future__ import annotations

from collections.abc import Sequence

from workers.engines.infill import InfillMarks
from workers.engines.script import PANGRAM, TOKEN

_WORDS = TOKEN.findall(PANGRAM)


class ScriptedVocabulary:
    """What `workers.engines.raw_prompts` asks for; it has a model's usual 32,000 tokens.

    An id is a word of the pangram, counted round and round.
    """

    size = 32_000
    #: As long as any word.
    longest_piece = 2**20
    #: The last ids: nobody who writes a test takes them for words.
    infill_marks: InfillMarks | None = InfillMarks(31_995, 31_996, 31_997, 31_998, 31_999)

    def beginning(self) -> list[int]:
        """Nothing."""
        return []

    def plain(self, text: str) -> list[int]:
        """As many ids as the text has words."""
        return [place % len(_WORDS) for place, _ in enumerate(TOKEN.finditer(text))]

    def parsed(self, text: str) -> list[int]:
        """The same: no text is special."""
        return self.plain(text)

    def whole_text(self, token_ids: Sequence[int]) -> str:
        """The words of the pangram."""
        return "".join(_WORDS[token % len(_WORDS)] for token in token_ids)
