"""What the scripted engine counts: the words of the messages' contents, without a template."""

from __future__ import annotations

from collections.abc import Sequence

from presets.model import ModelSpec
from workers.engines.base import GenerationRequest
from workers.engines.raw_prompts import require_ids
from workers.engines.scripted_vocabulary import ScriptedVocabulary
from workers.engines.time_budget import TimeBudget

_VOCABULARY = ScriptedVocabulary()


class ScriptedTokenizer:
    """See `workers.engines.model_tokenizer.ModelTokenizer`."""

    def __init__(self, spec: ModelSpec) -> None:
        self._model = spec.id

    def of_messages(self, request: GenerationRequest, budget: TimeBudget) -> list[int]:
        """The words of all messages, as the engine counts them where no script says a number."""
        ids: list[int] = []
        for turn in request.messages:
            ids += _VOCABULARY.plain(turn.content or "")
            budget.check()
        return ids

    def of_text(self, text: str, _budget: TimeBudget, *, add_special: bool) -> list[int]:
        """The words of a text; none is special, and none is added."""
        return _VOCABULARY.parsed(text)

    def count(self, text: str) -> int:
        """The words of a text."""
        return len(_VOCABULARY.plain(text))

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The words of the pangram."""
        require_ids(self._model, token_ids, _VOCABULARY, param="tokens")
        return _VOCABULARY.whole_text(token_ids)
