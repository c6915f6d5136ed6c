"""One cross-encoder of sentence-transformers: its own tokenizer, layers and activation."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import torch
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer

from presets.model import ModelSpec
from presets.weights import safetensors
from workers.contract.errors import EngineFailed, ModelLoadFailed
from workers.engines.base import EngineOptions
from workers.engines.encoder import Pair, Vectors
from workers.engines.sentence_transformers import library_model
from workers.engines.sentence_transformers.library_model import filled, of_like_length


class SentenceTransformersCrossEncoder:
    """One directory of safetensors with a head that gives one score."""

    dimensions = 1

    def __init__(self, options: EngineOptions) -> None:
        self.most_tokens = self.memory_bytes = 0
        self.batch_texts = library_model.BATCH_TEXTS
        self.batch_tokens = library_model.BATCH_TOKENS
        self._options = options
        self._model: CrossEncoder | None = None

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """See `LoadedModel.load`; nothing is fetched."""
        before = psutil.Process().memory_info().rss
        model = self._model = library_model.load(spec, self._options, CrossEncoder, _obstacle)
        on_progress(0.9)
        if model.num_labels != 1:
            raise ModelLoadFailed(
                f"{spec.path} gives {model.num_labels} classes, and no score by which to rank."
            )
        tokenizer = model.tokenizer
        self.most_tokens = library_model.most_tokens(model, spec)
        self._splitting = library_model.own_tokenizer(model, spec)
        self._joining = library_model.own_tokenizer(model, spec)
        for each in (self._splitting, self._joining):
            each.no_padding()
        self._splitting.no_truncation()
        self._joining.enable_truncation(self.most_tokens, strategy="longest_first")
        self._filling = int(tokenizer.pad_token_id or 0)
        self._typed = "token_type_ids" in tokenizer.model_input_names
        if model.device.type != "cpu":
            self.batch_tokens = library_model.BATCH_TOKENS_ON_DEVICE
        self.encode([self.pairing("warm").with_document("up")])
        self.memory_bytes = psutil.Process().memory_info().rss - before

    def pairing(self, query: str) -> _Pairing:
        """See `CrossEncoder.pairing`."""
        return _Pairing(query, self._splitting, self._joining, self.most_tokens)

    def encode(self, batch: Sequence[Pair]) -> Vectors:
        """See `CrossEncoder.encode`; the score is what the library's `predict` gives."""
        scores = np.empty((len(batch), 1), dtype=np.float32)
        for rows in of_like_length(batch):
            scores[rows, 0] = self._computed([batch[row] for row in rows])
        return scores

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        self._model = None
        gc.collect()

    def _computed(self, pairs: list[Pair]) -> Vectors:
        """The scores of pairs that are filled up to the longest."""
        model = self._model
        if model is None:
            raise EngineFailed("The engine is closed.")
        features = {
            "input_ids": filled([pair.ids for pair in pairs], self._filling),
            "attention_mask": filled([np.ones(len(pair), np.uint8) for pair in pairs], 0),
        }
        if self._typed:
            features["token_type_ids"] = filled([pair.types for pair in pairs], 0)
        with torch.inference_mode():
            on_device = {name: each.to(model.device) for name, each in features.items()}
            scores = model.activation_fn(model(on_device)["scores"].float())
        computed: Vectors = scores.reshape(len(pairs)).cpu().numpy()
        return computed


class _Pairing:
    """See `Pairing`."""

    def __init__(self, query: str, splitting: Tokenizer, joining: Tokenizer, most: int) -> None:
        self._splitting, self._joining = splitting, joining
        self._around = splitting.num_special_tokens_to_add(is_pair=True)
        self._query = splitting.encode(query, add_special_tokens=False)
        self._query_tokens = len(self._query)
        self.tokens = self._query_tokens + self._around
        # It is copied for each document: no more of it than could be read.
        self._query.truncate(most)

    def with_document(self, text: str) -> Pair:
        """See `Pairing.with_document`; cut as the library cuts."""
        document = self._splitting.encode(text, add_special_tokens=False)
        joined = self._joining.post_process(self._query, document)
        return Pair(
            np.array(joined.ids, np.int32),
            np.array(joined.type_ids, np.uint8),
            self._query_tokens + len(document) + self._around,
        )


def _obstacle(directory: Path) -> str | None:
    """The library would give a model without a head a random one, and load it."""
    if safetensors.classifies(directory):
        return None
    return (
        "is no cross-encoder: the architectures in its config.json are none for sequence "
        "classification."
    )
