"""The prompt cache: states of sequences that have left the KV pool, in host memory.

A state is put back a thousand times faster than its tokens are read anew, and what is not in the
pool costs no step anything. Its bound is one of bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from workers.engines.llamacpp.context import State

#: By so many later uses of others a level of priority is outweighed: else what was urgent once
#: would stay for ever.
_USES_OF_A_LEVEL = 64


@dataclass(frozen=True, eq=False, slots=True)
class SavedPrompt:
    """The state of a sequence, and what it is the state of."""

    tokens: list[int]
    state: State
    #: The job that left it.
    job: str
    #: The priority that it had.
    priority: int


class PromptCache:
    """Saved prompts under a bound of bytes: first go the longest unused, the urgent ones later."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._used_at: dict[SavedPrompt, int] = {}
        self._clock = itertools.count()
        self._taken_bytes = 0

    def __contains__(self, prompt: object) -> bool:
        return prompt in self._used_at

    def __iter__(self) -> Iterator[SavedPrompt]:
        return iter(list(self._used_at))

    @property
    def taken_bytes(self) -> int:
        """Bytes of all states."""
        return self._taken_bytes

    @property
    def most_bytes(self) -> int:
        """Bytes that all states may take."""
        return self._most_bytes

    def fits(self, size_bytes: int) -> bool:
        """Whether a state of this size may be kept at all."""
        return 0 < size_bytes <= self._most_bytes

    def add(self, prompt: SavedPrompt) -> list[SavedPrompt]:
        """Keep a prompt whose state fits; returns those that had to go for it."""
        left = []
        while self._taken_bytes + prompt.state.nbytes > self._most_bytes:
            victim = min(self._used_at, key=self._worth)
            self.remove(victim)
            left.append(victim)
        self._used_at[prompt] = next(self._clock)
        self._taken_bytes += prompt.state.nbytes
        return left

    def _worth(self, prompt: SavedPrompt) -> int:
        return self._used_at[prompt] + _USES_OF_A_LEVEL * prompt.priority

    def use(self, prompt: SavedPrompt) -> None:
        """It was of use now."""
        self._used_at[prompt] = next(self._clock)

    def remove(self, prompt: SavedPrompt) -> None:
        """Keep it no longer."""
        del self._used_at[prompt]
        self._taken_bytes -= prompt.state.nbytes
