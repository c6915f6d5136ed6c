"""The pool of a context that only remembers tokens, and sequences that are read as a test says."""

import threading

import numpy as np

from tests.support.waiting import wait_for
from workers.contract.job import Priority, Sampling
from workers.engines.answer_form import AnswerForm
from workers.engines.base import GenerationRequest
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.prompt_cache import PromptCache
from workers.engines.llamacpp.sequence import Sequence


class Cells:
    """A context whose cells are tokens, and whose states are too; a token takes a byte."""

    def __init__(self):
        self.cells = {}
        self.room = 10_000

    def share(self, source, target, length):
        self.cells[target] = self.cells[source][:length]

    def state_bytes(self, slot):
        return len(self.cells[slot])

    def save(self, slot, size_bytes):
        return np.array(self.cells[slot], dtype=np.uint8)

    def restore(self, slot, state):
        self.cells[slot] = list(state) if len(state) <= self.room else []
        return len(state) <= self.room

    def truncate(self, slot, length):
        self.cells[slot] = self.cells[slot][:length]
        return True

    def drop(self, slot):
        self.cells.pop(slot, None)


class Letters:
    pending = None

    def piece(self, token):
        return bytes([token])


class Pool:
    """Prefixes, and sequences that are read as a test says."""

    def __init__(self, cache_bytes=1000, *, forgets=False, disk=None):
        self.context = Cells()
        self.cache = PromptCache(cache_bytes)
        self.prefixes = Prefixes(self.context, 4, self.cache, forgets=forgets, disk=disk)

    def start(self, tokens, owner=None, job="j", priority=Priority.NORMAL):
        request = GenerationRequest(
            "r", (), Sampling(max_tokens=9), priority=priority, job=job, owner=owner
        )
        letters = Letters()
        sequence = Sequence(
            request, list(tokens), letters, letters, 9_999, threading.Event(), AnswerForm()
        )
        self.prefixes.assign_slot(sequence)
        return sequence

    def read(self, sequence):
        sequence.decoded = len(sequence.tokens)
        self.context.cells[sequence.slot] = list(sequence.tokens)

    def run(self, tokens, owner=None, **said):
        """The whole life of one; returns how many of its tokens it found."""
        sequence = self.start(tokens, owner, **said)
        wait_for(lambda: self.prefixes.begin(sequence), 60)  # at once, but for what is on disk
        found = sequence.decoded
        assert self.context.cells.get(sequence.slot, []) == list(tokens[:found])
        self.read(sequence)
        self.prefixes.release(sequence)
        return found
