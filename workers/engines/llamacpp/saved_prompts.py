"""Saved prompts: sequences that have left the pool, in memory and on disk.

One entry stands for a prompt wherever its state is. From memory it goes to make room for others; it
stays known while the disk has it, and comes back when it is asked for.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from workers.engines.llamacpp.context import State
from workers.engines.llamacpp.prefix_tree import PrefixTree
from workers.engines.llamacpp.prompt_cache import PromptCache, SavedPrompt
from workers.engines.llamacpp.prompt_disk import Found, PromptDisk, Written
from workers.engines.prompt_store.prompt_file import PromptHead

#: Tokens that the disk does not have, from which on it gets them when the worker ends: then it
#: costs nobody anything.
_LEAST_WRITTEN_AT_END = 64


class SavedPrompts:
    """What is in memory, what is on disk, and the way between them."""

    def __init__(
        self,
        tree: PrefixTree[Any],
        memory: PromptCache,
        disk: PromptDisk | None,
        *,
        forgets: bool,
    ) -> None:
        """`tree` has other entries too. `forgets`: states are used whole or not at all."""
        self._tree = tree
        self._memory = memory
        self._disk = disk
        self._forgets = forgets
        self._of_job: dict[str, set[SavedPrompt]] = {}
        self._by_file: dict[Path, SavedPrompt] = {}
        #: Those that the disk reads.
        self._awaited: set[SavedPrompt] = set()

    @property
    def memory_bytes(self) -> tuple[int, int]:
        """Bytes of host memory that states take, and that they may take."""
        return self._memory.taken_bytes, self._memory.most_bytes

    @property
    def disk(self) -> PromptDisk | None:
        """Where prompts outlive the worker; None: nowhere."""
        return self._disk

    @property
    def are_written(self) -> bool:
        """What is kept may go to the disk."""
        return self._disk is not None and self._disk.is_writable

    @property
    def reads(self) -> list[Future[State | None]]:
        """States that the disk reads, for which sequences wait that have not begun."""
        return [prompt.reading for prompt in self._awaited if prompt.reading is not None]

    def may_have(self, size_bytes: int) -> bool:
        """Whether a state of this size can be in memory at all."""
        return self._memory.fits(size_bytes)

    def has_room(self, size_bytes: int) -> bool:
        """Whether it can be now, beside those that are just being read."""
        return self._memory.fits(size_bytes) and self._memory.has_room(size_bytes)

    def use(self, prompt: SavedPrompt) -> None:
        """It was of use now."""
        self._memory.use(prompt)

    def add(self, prompt: SavedPrompt) -> None:
        """Keep a state for which there is room, in place of those of which it has everything."""
        self.follow_disk()
        shorter = self._shorter(prompt)
        self._register(prompt)
        is_awaited_on_disk = any(other.is_offered and other.file is None for other in shorter)
        for other in shorter:
            self.leave_memory(other)
        self._remember(prompt)
        if is_awaited_on_disk:
            self.write(prompt)

    def known(self, tokens: list[int]) -> SavedPrompt | None:
        """A prompt in memory that begins with all of these tokens, and can be cut to them."""
        if self._forgets:
            return None
        for length, sharers in self._tree.shared(tokens, len(tokens)):
            if length < len(tokens):
                return None
            for other in sharers:
                if isinstance(other, SavedPrompt) and other.state is not None:
                    self._memory.use(other)
                    return other
        return None

    def has_come(self, prompt: SavedPrompt) -> bool:
        """Whether a state is in memory, or known to be lost; else the disk reads it."""
        if prompt.state is not None:
            return True
        if prompt.reading is None:
            if self._disk is None or prompt.file is None:
                return True
            if not self._memory.has_room(prompt.state_bytes):
                return False  # others are being read: their turn comes first
            prompt.reading = self._disk.read(prompt, prompt.file)
            self._awaited.add(prompt)
            self._remember(prompt)
        self._take_read(prompt)
        return prompt.reading is None

    def write(self, prompt: SavedPrompt) -> None:
        """Let the disk have a state that is in memory."""
        if self._disk is None or prompt.is_offered or prompt.file is not None:
            return
        prompt.is_offered = True
        replaced = [other.file for other in self._shorter(prompt) if other.file is not None]
        self._disk.write(prompt, self._tree.public_length(prompt.tokens), replaced)

    def leave_memory(self, prompt: SavedPrompt) -> None:
        """Hold a state on disk alone, where it is there."""
        if prompt in self._memory:
            self._memory.remove(prompt)
        prompt.state = prompt.reading = None
        if prompt.file is None:
            self._unregister(prompt)

    def drop(self, prompt: SavedPrompt) -> None:
        """Hold a state nowhere any more."""
        prompt.is_dropped = True
        if prompt.file is not None and self._disk is not None:
            self._disk.remove(prompt.file)
            self._by_file.pop(prompt.file, None)
            prompt.file = None
        self.leave_memory(prompt)

    def forget_job(self, job: str) -> None:
        """Drop what only this job has left."""
        for prompt in list(self._of_job.get(job, ())):
            self.drop(prompt)
        if self._disk is not None:  # it may have what this worker does not know
            self._disk.forget(job)

    def forget_all(self) -> None:
        """Drop everything that is kept in memory."""
        for prompt in self._memory:
            self.leave_memory(prompt)

    def follow_disk(self) -> None:
        """Take in what the disk has written, found and lost."""
        if self._disk is None:
            return
        for prompt in list(self._awaited):
            self._take_read(prompt)
        for change in self._disk.changes():
            if isinstance(change, Written):
                self._take_written(change.prompt, change.file)
            elif isinstance(change, Found):
                self._take_found(change.head, change.file)
            else:
                self._lose_file(change.file)

    def close(self) -> None:
        """Let the disk have what the memory keeps, the last used first."""
        if self._disk is None:
            return
        self.follow_disk()
        for prompt in self._memory:
            written = [p for p in self._shorter(prompt) if p.file is not None or p.is_offered]
            known = max((len(other.tokens) for other in written), default=0)
            if len(prompt.tokens) - known >= _LEAST_WRITTEN_AT_END:
                self.write(prompt)
        self._disk.close()

    def _shorter(self, prompt: SavedPrompt) -> list[SavedPrompt]:
        """Prompts of which this one has everything."""
        if self._forgets:
            return []
        contained = self._tree.contained(prompt.tokens, len(prompt.tokens))
        return [p for p in contained if isinstance(p, SavedPrompt) and p is not prompt]

    def _take_read(self, prompt: SavedPrompt) -> None:
        if prompt.reading is not None and prompt.reading.done():
            prompt.state, prompt.reading = prompt.reading.result(), None
            if prompt.state is None:
                self.drop(prompt)
        if prompt.reading is None:
            self._awaited.discard(prompt)

    def _take_written(self, prompt: SavedPrompt, file: Path) -> None:
        if prompt.is_dropped and self._disk is not None:
            self._disk.remove(file)
            return
        self._lose_file(file)  # it was another entry's of the same job and tokens
        prompt.file = file
        self._by_file[file] = prompt
        if prompt not in self._of_job.get(prompt.job, ()):  # it has left the memory meanwhile
            self._register(prompt)

    def _take_found(self, head: PromptHead, file: Path) -> None:
        prompt = SavedPrompt(
            head.tokens, None, head.job, head.priority, head.owner, head.state_bytes, file
        )
        self._by_file[file] = prompt
        self._register(prompt, public_length=head.public_length)

    def _lose_file(self, file: Path) -> None:
        lost = self._by_file.pop(file, None)
        if lost is None:
            return
        lost.file, lost.is_offered = None, False
        if lost.state is None and lost.reading is None:
            self._unregister(lost)

    def _register(self, prompt: SavedPrompt, *, public_length: int = 0) -> None:
        self._of_job.setdefault(prompt.job, set()).add(prompt)
        self._tree.add(prompt, prompt.tokens, prompt.owner, public_length=public_length)

    def _remember(self, prompt: SavedPrompt) -> None:
        """Count a state as one in memory; others leave it for that."""
        for other in self._memory.add(prompt):
            self.leave_memory(other)

    def _unregister(self, prompt: SavedPrompt) -> None:
        self._tree.remove(prompt)
        of_job = self._of_job[prompt.job]
        of_job.remove(prompt)
        if not of_job:
            del self._of_job[prompt.job]
