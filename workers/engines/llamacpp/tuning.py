"""Which format of a model's weights this machine runs best, and what each of them loses.

The loss is told as the mean Kullback-Leibler divergence, in nats, of the next-token distribution
from that of the file as it is, over the positions of a shipped text, and as that text's perplexity:
the two figures that llama.cpp's own `llama-perplexity --kl-divergence` reports.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from presets.model import ModelSpec
from workers.contract.errors import EngineFailed
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.native import Context, ContextSize, Model
from workers.engines.llamacpp.vocabulary import Vocabulary

#: Tokens of the text that are read; each position's distribution is held until the end.
TEXT_TOKENS = 512
#: Positions behind which distributions are compared: the first tokens have too little before them.
FIRST_POSITION = 64
#: Rows of logits in one call, and steps of a decode that are timed.
_ROWS, _STEPS = 64, 24
_REPEATS = 2

#: Tokens of a usual chat request, by which formats are compared.
CHAT_PROMPT, CHAT_ANSWER = 256, 128

Logits = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One format on this machine."""

    #: Name of the format; None: the file as it is.
    form: str | None
    size_bytes: int
    #: Prompt tokens per second.
    prefill_tokens_s: float
    #: Tokens per second of one answer alone, and of `rows` answers together.
    decode_tokens_s: float
    batch_tokens_s: float
    rows: int
    #: Of the shipped text.
    perplexity: float
    #: Mean divergence from the file as it is, in nats per token.
    divergence: float

    @property
    def chat_s(self) -> float:
        """Seconds that a usual chat request takes of a worker that always has `rows` of them."""
        return CHAT_PROMPT / self.prefill_tokens_s + CHAT_ANSWER / self.batch_tokens_s


def measure(
    spec: ModelSpec,
    cache_dir: Path,
    *,
    threads: int,
    rows: int,
    gpu_layers: int,
    on_start: Callable[[str], None],
) -> Iterator[Measured]:
    """Measure the file as it is, then every format it can be requantised to.

    One at a time, since two in memory would slow each other. `rows` answers are decoded together.

    Raises:
        ModelLoadFailed: the file cannot be loaded or requantised.
        InsufficientMemory: it does not fit.
    """
    original = weights.check(spec)
    reference: Logits | None = None
    for form in (None, *weights.FORMATS):
        on_start(form or "as it is")
        path = original if form is None else weights.requantised(original, form, cache_dir)
        weights.require_memory(spec, path, TEXT_TOKENS * 2, gpu_layers)
        model = Model(path, gpu_layers, lambda _fraction: None)
        try:
            vocabulary = Vocabulary(model)
            text = resources.files(__package__).joinpath("tuning.txt").read_text(encoding="utf-8")
            tokens = vocabulary.tokenize(text, add_special=True, parse_special=False)[:TEXT_TOKENS]
            size = ContextSize(
                kv_tokens=TEXT_TOKENS + rows * (_STEPS + 2),
                sequences=max(_ROWS, rows),
                batch_tokens=TEXT_TOKENS,
                threads=threads,
            )
            context = Context(model, size)
            try:
                logits = _logits(context, tokens, vocabulary.size)
                reference = logits if reference is None else reference
                yield Measured(
                    form=form,
                    size_bytes=path.stat().st_size,
                    prefill_tokens_s=_prefill(context, tokens),
                    decode_tokens_s=_decode(context, tokens, 1),
                    batch_tokens_s=_decode(context, tokens, rows),
                    rows=rows,
                    perplexity=_perplexity(logits, tokens),
                    divergence=_divergence(reference, logits),
                )
            finally:
                context.free()
        finally:
            model.free()


def choose(found: list[Measured], most_loss: float) -> Measured:
    """The fastest for a usual chat, of those that lose at most `most_loss` nats per token."""
    good = [one for one in found if one.form is None or one.divergence <= most_loss]
    return min(good, key=lambda one: one.chat_s)


def _read(context: Context, tokens: list[int], begin: int, *, all_rows: bool) -> None:
    context.clear_batch()
    for position, token in enumerate(tokens, begin):
        wanted = all_rows or position == begin + len(tokens) - 1
        context.add(token, position, 0, wants_logits=wanted)
    _run(context)


def _run(context: Context) -> None:
    status = context.decode()
    if status != 0:
        raise EngineFailed(f"llama.cpp could not decode (status {status}).")


def _logits(context: Context, tokens: list[int], words: int) -> Logits:
    """The logits behind every position from `FIRST_POSITION` on: (positions, words)."""
    found = []
    for begin in range(0, len(tokens), _ROWS):
        part = tokens[begin : begin + _ROWS]
        _read(context, part, begin, all_rows=True)
        for row in range(len(part)):
            pointer = llama_cpp.llama_get_logits_ith(context.pointer, row)
            if begin + row >= FIRST_POSITION:
                row_of = np.ctypeslib.as_array(
                    ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (words,)
                )
                found.append(row_of.copy())
    context.drop(0)
    return np.stack(found)


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    told: Logits = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return told


def _perplexity(logits: Logits, tokens: list[int]) -> float:
    following = tokens[FIRST_POSITION + 1 :]
    told = _log_softmax(logits[: len(following)])
    return float(np.exp(-told[np.arange(len(following)), following].mean()))


def _divergence(reference: Logits, logits: Logits) -> float:
    right, told = _log_softmax(reference), _log_softmax(logits)
    return max(0.0, float((np.exp(right) * (right - told)).sum(axis=1).mean()))


def _prefill(context: Context, tokens: list[int]) -> float:
    best = 0.0
    for _ in range(_REPEATS):
        began = time.perf_counter()
        _read(context, tokens, 0, all_rows=False)
        best = max(best, len(tokens) / (time.perf_counter() - began))
        context.drop(0)
    return best


def _decode(context: Context, tokens: list[int], rows: int) -> float:
    """Tokens per second of `rows` answers that each go on from a token of their own."""
    best = 0.0
    for _ in range(_REPEATS):
        began = 0.0
        for step in range(_STEPS + 1):
            if step == 1:  # the first is warm-up
                began = time.perf_counter()
            context.clear_batch()
            for row in range(rows):
                context.add(tokens[(row + step) % len(tokens)], step, row, wants_logits=True)
            _run(context)
        best = max(best, rows * _STEPS / (time.perf_counter() - began))
        for row in range(rows):
            context.drop(row)
    return best
