"""The few llama.cpp calls that the scheduler needs, each under a name that says what it does."""

from __future__ import annotations

import ctypes
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from workers.contract.errors import ModelLoadFailed

log = logging.getLogger(__name__)

#: ggml's log levels (ggml.h, `ggml_log_level`); the last continues the line before.
_GGML_WARNING, _GGML_ERROR, _GGML_CONTINUED = 3, 4, 5
#: No honest line is longer; a file's own texts stand in some.
_LONGEST_LINE = 500


class _Words:
    """llama.cpp's last errors, for the message of a model that cannot be loaded."""

    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=20)
        self._level = 0

    def take(self, level: int, text: str) -> None:
        """A line, or a piece of the line before."""
        continues = level == _GGML_CONTINUED
        if not continues:
            self._level = level
        if self._level == _GGML_ERROR:
            if continues and self._errors:
                text = self._errors.pop() + text
            self._errors.append(text[:_LONGEST_LINE])
        if self._level in (_GGML_WARNING, _GGML_ERROR) and text.strip():
            log.debug("llama.cpp: %s", text.strip())

    def clear(self) -> None:
        """Forget what was said before."""
        self._errors.clear()

    def __str__(self) -> str:
        said = [line.strip() for line in self._errors]
        return "; ".join(line for line in said if line) or "no reason given"


_words = _Words()


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _take_log(level: int, text: bytes, _user_data: object) -> None:
    _words.take(level, text.decode("utf-8", "replace"))


llama_cpp.llama_log_set(_take_log, ctypes.c_void_p(0))


@dataclass(frozen=True, slots=True)
class ContextSize:
    """How much a context holds and computes at once."""

    #: Cells of the pool that all sequences share; one holds one token.
    kv_tokens: int
    #: Sequences with cells in the pool: those that are decoded and those kept as prefixes.
    sequences: int
    #: Tokens of one call of `decode` at most.
    batch_tokens: int
    threads: int


class Model:
    """Weights in memory."""

    def __init__(self, path: Path, gpu_layers: int, on_progress: Callable[[float], None]) -> None:
        """Load the weights.

        Raises:
            ModelLoadFailed: llama.cpp refuses the file; gives its errors.
        """
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers if gpu_layers >= 0 else 10_000
        interrupted: list[BaseException] = []
        callback = llama_cpp.llama_progress_callback(_progress(on_progress, interrupted))
        parameters.progress_callback = callback
        _words.clear()
        pointer = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if interrupted:
            if pointer:
                llama_cpp.llama_model_free(pointer)
            raise interrupted[0]
        if not pointer:
            raise ModelLoadFailed(f"llama.cpp cannot load {path}: {_words}")
        self.pointer = pointer
        self.trained_context = int(llama_cpp.llama_model_n_ctx_train(pointer))
        self.size_bytes = int(llama_cpp.llama_model_size(pointer))
        #: Whether the end of a sequence can be taken back. Sliding windows have forgotten what
        #: lies before it, and a recurrent state has no positions at all.
        self.forgets = (
            int(llama_cpp.llama_model_n_swa(pointer)) > 0
            or bool(llama_cpp.llama_model_is_recurrent(pointer))
            or bool(llama_cpp.llama_model_is_hybrid(pointer))
        )

    def chat_template(self) -> str | None:
        """The chat template in the file's metadata."""
        raw = llama_cpp.llama_model_chat_template(self.pointer, None)
        return raw.decode("utf-8", "replace") if raw else None

    def free(self) -> None:
        """Give the memory back."""
        llama_cpp.llama_model_free(self.pointer)


def _progress(
    on_progress: Callable[[float], None], interrupted: list[BaseException]
) -> Callable[[float, object], bool]:
    """What llama.cpp calls; False, which ends the loading, once something was raised meanwhile.

    An exception cannot pass through llama.cpp: a signal's is kept and raised after it.
    """

    def progress(fraction: float, _user_data: object) -> bool:
        try:
            on_progress(fraction)
        except BaseException as raised:  # noqa: BLE001
            interrupted.append(raised)
        return not interrupted

    return progress


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
        parameters.n_ubatch = min(512, size.batch_tokens)
        parameters.n_seq_max = size.sequences
        # One row of logits for each sequence at most; llama.cpp would hold one for each token.
        parameters.n_outputs_max = size.sequences
        # One pool for all: a partial `seq_cp` between separate streams aborts the process.
        parameters.kv_unified = True
        parameters.no_perf = True
        parameters.n_threads = parameters.n_threads_batch = size.threads
        _words.clear()
        pointer = llama_cpp.llama_init_from_model(model.pointer, parameters)
        if not pointer:
            raise ModelLoadFailed(
                f"llama.cpp cannot make a pool of {size.kv_tokens} tokens: {_words}"
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
        return int(llama_cpp.llama_decode(self.pointer, self._batch))

    def logits(self, row: int) -> NDArray[np.float32]:
        """The logits of a row that wanted them, as `decode` left them; gone with the next one."""
        pointer = llama_cpp.llama_get_logits_ith(self.pointer, row)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary_size,))

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Let `target` share the first `length` cells of `source`."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

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


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
