"""Places of a chat completion as another API names them, whose requests become one."""

from __future__ import annotations

import re

from workers.contract.errors import InferenceError


class Places:
    """How one API names what a chat completion has."""

    def __init__(self, *names: tuple[str, str]) -> None:
        """`names`: regular expressions of ours, and what each becomes there, as `re.sub` has it."""
        self._names = tuple((re.compile(ours), theirs) for ours, theirs in names)

    def of(self, text: str) -> str:
        """A text with the other API's names."""
        for ours, theirs in self._names:
            text = ours.sub(theirs, text)
        return text

    def renamed(self, error: InferenceError) -> InferenceError:
        """An error of the chat completion, with the place of its fault in the request."""
        param = error.details.get("param")
        if not isinstance(param, str):
            return error
        place = self.of(param)
        return type(error)(
            error.message.replace(param, place, 1),
            details={**error.details, "param": place},
            retry_after_ms=error.retry_after_ms,
        )
