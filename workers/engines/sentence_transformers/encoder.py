"""One model of sentence-transformers: its own tokenizer, layers and pooling."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psutil
import torch
from sentence_transformers import SentenceTransformer

from presets.memory import machine
from presets.memory.footprint import MOST_EMBEDDED_TOKENS
from presets.model import ModelSpec
from presets.weights import safetensors, weight_files
from workers.contract.errors import EngineFailed, ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import Vectors

#: Texts and tokens of a batch on a CPU, and on a device.
BATCH_TEXTS, BATCH_TOKENS = 32, 2048
BATCH_TOKENS_ON_DEVICE = 16_384
#: Texts are filled up to the longest that they are computed with: one of more than this times the
#: shortest one's tokens is computed with longer ones.
_MOST_FILLED = 1.5

_Rows = list[int]


class SentenceTransformersEncoder:
    """One directory of safetensors that the library can load."""

    def __init__(self, options: EngineOptions) -> None:
        self.most_tokens = self.dimensions = self.vocabulary_size = self.memory_bytes = 0
        self.batch_texts, self.batch_tokens = BATCH_TEXTS, BATCH_TOKENS
        self._options = options
        self._model: SentenceTransformer | None = None

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`; nothing is fetched."""
        if absence := weight_files.absence(spec):
            raise ModelLoadFailed(f"The files of {spec.id} are missing: {absence}.")
        if spec.path is None or not safetensors.is_of_sentence_transformers(spec.path):
            raise ModelLoadFailed(
                f"{spec.path} has no modules.json: it is no model of sentence-transformers."
            )
        torch.set_num_threads(self._options.threads or machine.cores())
        logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
        before = psutil.Process().memory_info().rss
        try:
            model = SentenceTransformer(str(spec.path), local_files_only=True)
        except Exception as error:
            raise ModelLoadFailed(f"{spec.path} cannot be loaded: {error}") from error
        self._model = model.eval()
        on_progress(0.9)
        self._tokenizer = model.tokenizer
        longest = model.max_seq_length or spec.context_length
        self.most_tokens = min(spec.context_length, longest, MOST_EMBEDDED_TOKENS)
        self.dimensions = int(model.get_embedding_dimension() or 0)
        self.vocabulary_size = len(self._tokenizer)
        self._filling = int(self._tokenizer.pad_token_id or 0)
        if model.device.type != "cpu":
            self.batch_tokens = BATCH_TOKENS_ON_DEVICE
        self.encode([self.tokenize("warm up")])
        self.memory_bytes = psutil.Process().memory_info().rss - before

    def tokenize(self, text: str) -> list[int]:
        """See `Encoder.tokenize`."""
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=True, truncation=False, verbose=False
        )
        return ids

    def encode(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """See `Encoder.encode`."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for rows in _of_like_length(batch):
            vectors[rows] = self._computed([batch[row] for row in rows])
        return vectors

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        self._model = None
        gc.collect()

    def _computed(self, texts: list[Sequence[int]]) -> Vectors:
        """The vectors of texts that are filled up to the longest."""
        model = self._model
        if model is None:
            raise EngineFailed("The engine is closed.")
        longest = max(map(len, texts))
        ids = torch.full((len(texts), longest), self._filling, dtype=torch.long)
        mask = torch.zeros((len(texts), longest), dtype=torch.long)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        device = model.device
        with torch.inference_mode():
            features = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
            pooled = model(features)["sentence_embedding"]
        vectors: Vectors = pooled.float().cpu().numpy()
        return vectors


def _of_like_length(batch: Sequence[Sequence[int]]) -> Iterator[_Rows]:
    """The rows of a batch in groups whose texts are about as long as each other."""
    ordered = sorted(range(len(batch)), key=lambda row: len(batch[row]))
    group: _Rows = []
    for row in ordered:
        if group and len(batch[row]) > _MOST_FILLED * len(batch[group[0]]) + 8:
            yield group
            group = []
        group.append(row)
    yield group
