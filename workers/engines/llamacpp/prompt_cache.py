"""The prompt cache: states of sequences that have left the KV pool, in host memory.

A state is put back a thousand times faster than its tokens are read anew, and what is not in the
pool costs no step anything. Its bound is one of bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from workers.engines.llamacpp.context import State

#: By so many later uses of others a level of priority is outweighed: else what was urgent once
#: would stay for ever.
_USES_OF_A_LEVEL = 64


@dataclass(eq=False, slots=True)
class SavedPrompt:
    """The state of a sequence, and what it is the state of. It is in memory, on disk, or both."""

    tokens: list[int]
    #: None: it is not in memory.
    state: State | None
    #: The job that left it.
    job: str
    #: The priority that it had.
    priority: int
    #: The API key that has sent the tokens.
    owner: str | None = None
    state_bytes: int = 0
    #: Where it is on disk; None: it is not.
    file: Path | None = None
    #: The disk reads it; None: it does not.
    reading: Future[State | None] | None = None
    #: It is to be kept nowhere any more, whoever still holds it.
    is_dropped: bool = False
    #: The disk was asked to write it.
    is_offered: bool = False

    @property
    def is_awaited(self) -> bool:
        """Its state is on the way to memory."""
        return self.reading is not None and not self.reading.done()

    def __post_init__(self) -> None:
        if self.state is not None:
            self.state_bytes = self.state.nbytes


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
        """The last used first."""
        return iter(sorted(self._used_at, key=lambda prompt: -self._used_at[prompt]))

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

    def has_room(self, size_bytes: int) -> bool:
        """Whether it may be kept now: states on their way here are not dropped for others."""
        awaited = sum(prompt.state_bytes for prompt in self._used_at if prompt.is_awaited)
        return awaited + size_bytes <= self._most_bytes

    def add(self, prompt: SavedPrompt) -> list[SavedPrompt]:
        """Keep a prompt for which there is room; returns those that had to go for it."""
        left = []
        while self._taken_bytes + prompt.state_bytes > self._most_bytes:
            settled = [prompt for prompt in self._used_at if not prompt.is_awaited]
            victim = min(settled, key=self._worth)
            self.remove(victim)
            left.append(victim)
        self._used_at[prompt] = next(self._clock)
        self._taken_bytes += prompt.state_bytes
        return left

    def _worth(self, prompt: SavedPrompt) -> int:
        return self._used_at[prompt] + _USES_OF_A_LEVEL * prompt.priority

    def use(self, prompt: SavedPrompt) -> None:
        """It was of use now."""
        self._used_at[prompt] = next(self._clock)

    def remove(self, prompt: SavedPrompt) -> None:
        """Keep it no longer."""
        del self._used_at[prompt]
        self._taken_bytes -= prompt.state_bytes
