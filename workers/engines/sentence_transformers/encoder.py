"""One model of sentence-transformers: its own tokenizer, layers and pooling."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import torch
from sentence_transformers import SentenceTransformer

from presets.model import ModelSpec
from presets.weights import safetensors
from workers.contract.errors import EngineFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import Vectors
from workers.engines.sentence_transformers import library_model
from workers.engines.sentence_transformers.library_model import filled, of_like_length
from workers.engines.sentence_transformers.tokenizer import LibraryVocabulary


class SentenceTransformersEncoder:
    """One directory of safetensors that the library can load."""

    def __init__(self, options: EngineOptions) -> None:
        self.most_tokens = self.dimensions = self.vocabulary_size = self.memory_bytes = 0
        self.batch_texts = library_model.BATCH_TEXTS
        self.batch_tokens = library_model.BATCH_TOKENS
        self._options = options
        self._model: SentenceTransformer | None = None

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`; nothing is fetched."""
        before = psutil.Process().memory_info().rss
        model = self._model = library_model.load(
            spec, self._options, SentenceTransformer, _obstacle
        )
        on_progress(0.9)
        self._vocabulary = LibraryVocabulary(library_model.own_tokenizer(model, spec))
        self.most_tokens = library_model.most_tokens(model, spec)
        self.dimensions = int(model.get_embedding_dimension() or 0)
        self.vocabulary_size = self._vocabulary.size
        self._filling = int(model.tokenizer.pad_token_id or 0)
        if model.device.type != "cpu":
            self.batch_tokens = library_model.BATCH_TOKENS_ON_DEVICE
        self.encode([self.tokenize("warm up")])
        self.memory_bytes = psutil.Process().memory_info().rss - before

    def tokenize(self, text: str) -> list[int]:
        """See `Encoder.tokenize`."""
        return self._vocabulary.ids(text, around=True)

    def encode(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """See `Encoder.encode`."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for rows in of_like_length(batch):
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
        ids = filled(texts, self._filling)
        mask = filled([[1] * len(text) for text in texts], 0)
        device = model.device
        with torch.inference_mode():
            features = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
            pooled = model(features)["sentence_embedding"]
        vectors: Vectors = pooled.float().cpu().numpy()
        return vectors


def _obstacle(directory: Path) -> str | None:
    if safetensors.is_of_sentence_transformers(directory):
        return None
    return "has no modules.json: it is no embedding model of sentence-transformers."
