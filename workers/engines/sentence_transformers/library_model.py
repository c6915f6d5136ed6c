"""What a model of the library needs, whatever it does: loading it, and filling up batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer

from presets.memory import machine
from presets.memory.footprint import MOST_ENCODED_TOKENS
from presets.model import ModelSpec
from presets.weights import weight_files
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import EngineOptions

#: Texts and tokens of a batch on a CPU, and on a device.
BATCH_TEXTS, BATCH_TOKENS = 32, 2048
BATCH_TOKENS_ON_DEVICE = 16_384
#: Texts are filled up to the longest that they are computed with: one of more than this times the
#: shortest one's tokens is computed with longer ones.
_MOST_FILLED = 1.5

_Model = TypeVar("_Model", bound=torch.nn.Module)


def load(
    spec: ModelSpec,
    options: EngineOptions,
    make: Callable[..., _Model],
    obstacle: Callable[[Path], str | None],
) -> _Model:
    """The model in a directory, ready to compute; nothing is fetched.

    `obstacle`: why a directory is of no such model, which the library might load all the same.

    Raises:
        ModelLoadFailed: it is missing, of another kind, or the library cannot read it.
    """
    if (absence := weight_files.absence(spec)) or spec.path is None:
        raise ModelLoadFailed(f"The files of {spec.id} are missing: {absence}.")
    if reason := obstacle(spec.path):
        raise ModelLoadFailed(f"{spec.path} {reason}")
    torch.set_num_threads(options.threads or machine.cores())
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    try:
        model = make(str(spec.path), local_files_only=True)
    except Exception as error:
        raise ModelLoadFailed(f"{spec.path} cannot be loaded: {error}") from error
    model.eval()
    return model


def most_tokens(model: Any, spec: ModelSpec) -> int:
    """The most tokens of a text."""
    return min(
        spec.context_length, model.max_seq_length or spec.context_length, MOST_ENCODED_TOKENS
    )


def own_tokenizer(model: Any, spec: ModelSpec) -> Tokenizer:
    """A copy of the model's tokenizer: the library switches cutting and filling of its own on and
    off.

    Raises:
        ModelLoadFailed: it has none that the library `tokenizers` reads.
    """
    if not model.tokenizer.is_fast:
        raise ModelLoadFailed(f"{spec.path} has no tokenizer.json.")
    return Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())


def of_like_length(batch: Sequence[Sized]) -> Iterator[list[int]]:
    """The rows of a batch in groups whose texts are about as long as each other."""
    ordered = sorted(range(len(batch)), key=lambda row: len(batch[row]))
    group: list[int] = []
    for row in ordered:
        if group and len(batch[row]) > _MOST_FILLED * len(batch[group[0]]) + 8:
            yield group
            group = []
        group.append(row)
    yield group


def filled(texts: Sequence[Any], filling: int) -> torch.Tensor:
    """Texts of numbers as one tensor of 64-bit integers, filled up to the longest."""
    tensor = torch.full((len(texts), max(map(len, texts))), filling, dtype=torch.long)
    for row, text in enumerate(texts):
        tensor[row, : len(text)] = torch.as_tensor(text)
    return tensor
