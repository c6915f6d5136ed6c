"""A GGUF model that makes one row of numbers of each text: llama.cpp computes and pools."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import llama_cpp
import numpy as np
import psutil

from presets.memory import machine
from presets.memory.footprint import MOST_ENCODED_TOKENS
from presets.model import ModelSpec
from workers.contract.errors import EngineFailed, ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import Vectors
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.native import Model, words
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Texts of a batch at most.
BATCH_TEXTS = 64
#: Tokens of a batch on a CPU, and on a device. llama.cpp computes the attention of a batch as if it
#: were one text, of which most is masked. A BERT of 6 layers and 384 numbers in f32 read 500 tokens
#: a second in batches of 128 on one core, and 300 to 400 in batches of 512.
BATCH_TOKENS, BATCH_TOKENS_ON_DEVICE = 128, 2048


class PooledModel:
    """One model with a context that pools as its file says."""

    def __init__(self, options: EngineOptions) -> None:
        self.most_tokens = self.dimensions = self.vocabulary_size = self.memory_bytes = 0
        on_device = options.gpu_layers != 0 and llama_cpp.llama_supports_gpu_offload()
        self.batch_texts = BATCH_TEXTS
        self.batch_tokens = BATCH_TOKENS_ON_DEVICE if on_device else BATCH_TOKENS
        self._options = options
        self._model: Model | None = None
        self._context: llama_cpp.llama_context_p | None = None

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`.

        A text is computed at once where tokens look at those that follow, so that the context is as
        long as the longest text.
        """
        path = weights.check(spec)
        if spec.requantise is not None:
            path = weights.requantised(path, spec.requantise, self._options.cache_dir)
        before = psutil.Process().memory_info().rss
        model = self._model = Model(path, self._options.gpu_layers, on_progress)
        self._vocabulary = Vocabulary(model)
        self.vocabulary_size = self._vocabulary.size
        self.most_tokens = min(spec.context_length, model.trained_context, MOST_ENCODED_TOKENS)
        rows = max(self.most_tokens, self.batch_tokens)
        self._context = _context(model, rows, self._options.threads)
        pooling = int(llama_cpp.llama_pooling_type(self._context))
        self.dimensions = self._numbers(spec, model, pooling)
        self._encodes = bool(llama_cpp.llama_model_has_encoder(model.pointer))
        self._batch = llama_cpp.llama_batch_init(rows, 0, 1)
        warm_up = self._vocabulary.ids("warm up", around=True)
        self._computed([warm_up[: self.most_tokens]])
        self.memory_bytes = max(psutil.Process().memory_info().rss - before, model.size_bytes)

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        context, self._context = self._context, None
        if context is not None:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(context)
        model, self._model = self._model, None
        if model is not None:
            model.free()
        gc.collect()

    def _numbers(self, spec: ModelSpec, model: Model, pooling: int) -> int:
        """How many numbers a row has.

        Raises:
            ModelLoadFailed: with this pooling it makes no such rows.
        """
        raise NotImplementedError

    def _computed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """A row for each list of ids."""
        row = 0
        for sequence, ids in enumerate(batch):
            for position, token in enumerate(ids):
                self._batch.token[row] = token
                self._batch.pos[row] = position
                self._batch.n_seq_id[row] = 1
                self._batch.seq_id[row][0] = sequence
                self._batch.logits[row] = True
                row += 1
        self._batch.n_tokens = row
        memory = llama_cpp.llama_get_memory(self._context)
        if memory:
            llama_cpp.llama_memory_clear(memory, True)
        compute = llama_cpp.llama_encode if self._encodes else llama_cpp.llama_decode
        if failed := int(compute(self._context, self._batch)):
            raise EngineFailed(f"llama.cpp could not compute {len(batch)} texts ({failed}).")
        rows = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for sequence in range(len(batch)):
            pooled = llama_cpp.llama_get_embeddings_seq(self._context, sequence)
            rows[sequence] = np.ctypeslib.as_array(pooled, shape=(self.dimensions,))
        return rows


def _context(model: Model, tokens: int, threads: int | None) -> llama_cpp.llama_context_p:
    """A context for so many tokens at once.

    Raises:
        ModelLoadFailed: llama.cpp cannot; most often the memory is not there.
    """
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = tokens
    parameters.n_seq_max = BATCH_TEXTS
    parameters.kv_unified = True
    parameters.embeddings = True
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.no_perf = True
    parameters.n_threads = parameters.n_threads_batch = threads or machine.cores()
    words.clear()
    pointer = llama_cpp.llama_init_from_model(model.pointer, parameters)
    if not pointer:
        raise ModelLoadFailed(f"llama.cpp cannot make a context of {tokens} tokens: {words}")
    return pointer
