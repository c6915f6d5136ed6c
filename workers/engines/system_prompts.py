"""System prompts: the part of a prompt whose token ids may be kept, since it comes again and again.

Tokenising takes a long system prompt longer than decoding a token. A caller's own words are never
kept: a part of the prompt is a system message, with what the template writes around it, or it is
none. A template that writes it differently is not followed; all is tokenised then, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workers.engines.base import GenerationRequest, KeptIds
from workers.engines.special_tokens import written_by

#: Characters of a system message below which it is not worth looking for: it is tokenised in the
#: time that two round trips to Redis take (`make bench ARGS=caches`).
LEAST = 2000


class SystemPrompt:
    """The system messages of one request, as parts of its prompt."""

    def __init__(
        self, request: GenerationRequest, kept: KeptIds | None, own_texts: Iterable[str]
    ) -> None:
        """`kept` None: nothing is. `own_texts`: what the template writes by itself."""
        self._kept = kept
        self._owner = request.owner
        self._own_texts = own_texts
        texts = (turn.content or "" for turn in request.messages if turn.role == "system")
        self._told = [] if kept is None else [text.strip() for text in texts]

    def ids(self, part: str, make: Callable[[], list[int]], size: int) -> list[int]:
        """The ids of a part of the prompt; made where it is no system prompt, or is not kept.

        `size`: tokens of the vocabulary; no other id is taken from what is kept.
        """
        if self._kept is None or not self._covers(part):
            return make()
        found = self._kept.get(self._owner, part)
        if found and min(found) >= 0 and max(found) < size:
            return list(found)
        made = make()
        self._kept.store(self._owner, part, made)
        return made

    def _covers(self, part: str) -> bool:
        """Whether a part is a long system message, and beside it the template's own."""
        for told in self._told:
            if len(told) >= LEAST and told in part:
                before, _, after = part.partition(told)
                return all(not own or written_by(self._own_texts, own) for own in (before, after))
        return False
