"""A context: the KV pool and one reusable batch.

The few llama.cpp calls that the scheduler needs, each under a name that says what it does.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from presets.kv_cache import KvCache
from workers.contract.errors import ModelLoadFailed
from workers.engines.llamacpp.native import Model, words

#: Rows that llama.cpp computes at once, its own default for `n_ubatch`.
COMPUTED_ROWS = 512

#: The types of keys and values -> ggml's.
_TYPES = {
    "f32": llama_cpp.GGML_TYPE_F32,
    "f16": llama_cpp.GGML_TYPE_F16,
    "bf16": 30,  # without a name in llama-cpp-python 0.3.36
    "q8_0": llama_cpp.GGML_TYPE_Q8_0,
    "q5_1": llama_cpp.GGML_TYPE_Q5_1,
    "q5_0": llama_cpp.GGML_TYPE_Q5_0,
    "q4_1": llama_cpp.GGML_TYPE_Q4_1,
    "q4_0": llama_cpp.GGML_TYPE_Q4_0,
    "iq4_nl": llama_cpp.GGML_TYPE_IQ4_NL,
}
_FLASH_ATTENTION = {
    None: llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
    False: llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    True: llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
}

#: The state of a sequence as llama.cpp writes it: bytes that only the same model's context reads.
State = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ContextSize:
    """How much a context holds and computes at once."""

    #: Cells of the pool that all sequences share; one holds one token.
    kv_tokens: int
    #: Sequences with cells in the pool at once.
    sequences: int
    #: Tokens of one call of `decode` at most.
    batch_tokens: int
    threads: int
    #: Rows beyond one for each sequence whose logits are kept.
    more_logits: int = 0
    #: The types of keys and values, and flash attention.
    kv_cache: KvCache = field(default_factory=KvCache)


class Context:
    """A pool of KV cells and one reusable batch."""

    def __init__(self, model: Model, size: ContextSize) -> None:
        """Allocate the pool.

        Raises:
            ModelLoadFailed: llama.cpp cannot; most often the memory is not there.
        """
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = size.kv_tokens
        parameters.n_batch = size.batch_tokens
        parameters.n_ubatch = min(COMPUTED_ROWS, size.batch_tokens)
        parameters.n_seq_max = size.sequences
        # One row of logits for each sequence and for each drafted token; llama.cpp would hold one
        # for each token.
        parameters.n_outputs_max = min(size.sequences + size.more_logits, size.batch_tokens)
        # One pool for all: a partial `seq_cp` between separate streams aborts the process.
        parameters.kv_unified = True
        parameters.type_k = _TYPES[size.kv_cache.type_k]
        parameters.type_v = _TYPES[size.kv_cache.type_v]
        parameters.flash_attn_type = _FLASH_ATTENTION[size.kv_cache.flash_attention]
        parameters.no_perf = True
        parameters.n_threads = parameters.n_threads_batch = size.threads
        words.clear()
        pointer = llama_cpp.llama_init_from_model(model.pointer, parameters)
        if not pointer:
            raise ModelLoadFailed(
                f"llama.cpp cannot make a pool of {size.kv_tokens} tokens: {words}"
            )
        self.pointer = pointer
        vocabulary = llama_cpp.llama_model_get_vocab(model.pointer)
        self._vocabulary_size = int(llama_cpp.llama_vocab_n_tokens(vocabulary))
        self._memory = llama_cpp.llama_get_memory(pointer)
        self._batch = llama_cpp.llama_batch_init(size.batch_tokens, 0, 1)
        for i in range(size.batch_tokens):
            self._batch.n_seq_id[i] = 1
        self._batch.n_tokens = 0

    def clear_batch(self) -> None:
        """Begin a new batch."""
        self._batch.n_tokens = 0

    def add(self, token: int, position: int, sequence: int, *, wants_logits: bool) -> int:
        """Add a token to the batch; returns its row, by which its logits are found."""
        batch = self._batch
        row: int = batch.n_tokens
        batch.token[row] = token
        batch.pos[row] = position
        batch.seq_id[row][0] = sequence
        batch.logits[row] = wants_logits
        batch.n_tokens = row + 1
        return row

    def decode(self) -> int:
        """Compute the batch. 0: done; 1: no room in the pool, nothing changed; below 0: failed."""
        status = int(llama_cpp.llama_decode(self.pointer, self._batch))
        # A GPU may still be computing. Who reads logits waits for it anyway; here it is part of
        # what a step takes, by which chunks and drafts are planned.
        llama_cpp.llama_synchronize(self.pointer)
        return status

    def logits(self, row: int) -> NDArray[np.float32]:
        """The logits of a row that wanted them, as `decode` left them; gone with the next one."""
        pointer = llama_cpp.llama_get_logits_ith(self.pointer, row)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary_size,))

    def share(self, source: int, target: int, length: int) -> None:
        """Let the empty sequence `target` begin with the first `length` cells of `source`."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def state_bytes(self, sequence: int) -> int:
        """What `save` would give."""
        return int(llama_cpp.llama_state_seq_get_size(self.pointer, sequence))

    def save(self, sequence: int, size_bytes: int) -> State:
        """All that the pool holds of a sequence; empty where llama.cpp cannot give it."""
        state = np.empty(size_bytes, dtype=np.uint8)
        data = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        written = llama_cpp.llama_state_seq_get_data(self.pointer, data, state.nbytes, sequence)
        return state if written == state.nbytes else state[:0]

    def restore(self, sequence: int, state: State) -> bool:
        """Put a state back as this sequence; False: there is no room, and the sequence is empty."""
        data = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        read = llama_cpp.llama_state_seq_set_data(self.pointer, data, state.nbytes, sequence)
        return int(read) == state.nbytes

    def truncate(self, sequence: int, length: int) -> bool:
        """Drop what comes after `length`; False where the cache cannot take back an end."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def drop(self, sequence: int) -> None:
        """Free every cell of a sequence that no other shares."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def free(self) -> None:
        """Give the memory back."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self.pointer)
