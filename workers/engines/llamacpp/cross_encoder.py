"""Cross-encoders as GGUF files, whose pooling is `rank`.

A file may bring a template named `rerank`, with `{query}` and `{document}`, as llama-server reads
it; else a pair stands as encoders know it: what a text begins with, the query, what a text ends
with, a separator where the vocabulary adds one of its own, the document, the end.

llama.cpp gives all tokens the same type, so that the scores of a BERT which was trained with two of
them are others than those of its safetensors; models of the RoBERTa family have one type alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import llama_cpp
import numpy as np

from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.encoder import Pair, Vectors, common_ending
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.pooled_model import PooledModel
from workers.engines.llamacpp.vocabulary import Vocabulary

_PLACES = re.compile(r"(\{query\}|\{document\})")


@dataclass(frozen=True, slots=True)
class _Form:
    """What stands around a query and a document that follows it, as token ids."""

    before: list[int]
    between: list[int]
    after: list[int]

    def __len__(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


class LlamaCppCrossEncoder(PooledModel):
    """One GGUF model that ranks."""

    def pairing(self, query: str) -> _Pairing:
        """See `CrossEncoder.pairing`; what spells a special token is text."""
        return _Pairing(query, self._vocabulary, self._form, self.most_tokens)

    def encode(self, batch: Sequence[Pair]) -> Vectors:
        """See `CrossEncoder.encode`; a score is from 0 to 1."""
        rows = self._computed([pair.ids.tolist() for pair in batch])
        first = rows[:, :1]
        # One class is a logit; of two, llama.cpp gives the shares, that of "yes" first.
        return (1 / (1 + np.exp(-first))).astype(np.float32) if self.dimensions == 1 else first

    def _numbers(self, spec: ModelSpec, model: Model, pooling: int) -> int:
        classes = int(llama_cpp.llama_model_n_cls_out(model.pointer))
        if pooling != llama_cpp.LLAMA_POOLING_TYPE_RANK or classes not in (1, 2):
            raise ModelLoadFailed(
                f"The file of {spec.id} is of no cross-encoder that gives one score (its "
                f"metadata's pooling_type is {pooling}, and it has {classes} classes)."
            )
        template = llama_cpp.llama_model_chat_template(model.pointer, b"rerank")
        written = template.decode("utf-8", "replace") if template else None
        self._form = _form(self._vocabulary, written, spec.id)
        return classes


class _Pairing:
    """See `Pairing`."""

    def __init__(self, query: str, vocabulary: Vocabulary, form: _Form, most: int) -> None:
        self._vocabulary, self._form, self._most = vocabulary, form, most
        self._query = vocabulary.plain(query)
        self.tokens = len(self._query) + len(form)

    def with_document(self, text: str) -> Pair:
        """See `Pairing.with_document`."""
        query, document, form = self._query, self._vocabulary.plain(text), self._form
        whole = len(query) + len(document) + len(form)
        if whole > self._most:
            room = max(0, self._most - len(form))
            shorter = min(len(query), len(document), room // 2)
            kept = room - shorter
            is_query_longer = len(query) > len(document)
            query = query[: kept if is_query_longer else shorter]
            document = document[: shorter if is_query_longer else kept]
        ids = np.array([*form.before, *query, *form.between, *document, *form.after], np.int32)
        return Pair(ids, np.zeros(len(ids), np.uint8), whole)


def _form(vocabulary: Vocabulary, template: str | None, model: str) -> _Form:
    if template is not None:
        pieces = _PLACES.split(template)
        if [piece for piece in pieces if _PLACES.fullmatch(piece)] != ["{query}", "{document}"]:
            raise ModelLoadFailed(
                f"The template rerank of {model} must have {{query}}, and {{document}} after it."
            )
        before, _, between, _, after = pieces
        return _Form(
            [*vocabulary.beginning(), *vocabulary.parsed(before)],
            vocabulary.parsed(between),
            vocabulary.parsed(after),
        )
    ending = common_ending(vocabulary.ids("a", around=True), vocabulary.ids("b", around=True))
    adds = llama_cpp.llama_vocab_get_add_sep(vocabulary.pointer)
    separator = int(llama_cpp.llama_vocab_sep(vocabulary.pointer)) if adds else -1
    extra = [] if separator < 0 or not _ends_with_eos(vocabulary) else [separator]
    return _Form(vocabulary.beginning(), [*ending, *extra], ending)


def _ends_with_eos(vocabulary: Vocabulary) -> bool:
    """Whether a text ends with EOS; a BERT's ends with the separator itself."""
    return bool(llama_cpp.llama_vocab_get_add_eos(vocabulary.pointer))
