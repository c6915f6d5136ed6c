"""Measures each format of a model's weights on this machine: its speed, and what it loses.

The loss is given as the mean Kullback-Leibler divergence, in nats, of the next-token distribution
from that of the file as it is, over the positions of a shipped text, and as that text's perplexity:
the two figures that llama.cpp's own `llama-perplexity --kl-divergence` reports.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from presets.memory import machine
from presets.model import ModelSpec
from workers.contract.errors import EngineFailed
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.context import Context, ContextSize
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.tuning import Measured

#: Tokens of the text that are read; each position's distribution is held until the end.
TEXT_TOKENS = 512
#: Distributions are compared from this position on: the first tokens have too little before them.
FIRST_POSITION = 64
#: Rows of logits in one call, and steps of a decode that are timed.
_ROWS, _STEPS = 64, 24
_REPEATS = 2

Logits = np.ndarray[Any, np.dtype[np.float32]]


def measure(
    spec: ModelSpec,
    cache_dir: Path,
    *,
    threads: int | None,
    rows: int,
    gpu_layers: int,
    on_start: Callable[[str], None],
) -> Iterator[Measured]:
    """Measure the file as it is, then every format it can be requantised to; see `Tuner`.

    One at a time, since two in memory would slow each other.
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
            tokens = vocabulary.tokenize(_text(), add_special=True, parse_special=False)
            context = _context(model, rows, threads or machine.cores())
            try:
                measured, logits = _measure(
                    context, tokens[:TEXT_TOKENS], vocabulary.size, reference, rows
                )
            finally:
                context.free()
        finally:
            model.free()
        reference = logits if reference is None else reference
        yield replace(measured, form=form, size_bytes=path.stat().st_size)


def _text() -> str:
    """The shipped text."""
    return resources.files(__package__).joinpath("tuning.txt").read_text(encoding="utf-8")


def _context(model: Model, rows: int, threads: int) -> Context:
    size = ContextSize(
        kv_tokens=TEXT_TOKENS + rows * (_STEPS + 2),
        sequences=max(_ROWS, rows),
        batch_tokens=TEXT_TOKENS,
        threads=threads,
    )
    return Context(model, size)


def _measure(
    context: Context, tokens: list[int], words: int, reference: Logits | None, rows: int
) -> tuple[Measured, Logits]:
    """Figures of the loaded format, and its logits (positions, words); `reference`: the file's."""
    logits = _logits(context, tokens, words)
    measured = Measured(
        form=None,
        size_bytes=0,
        prefill_tokens_s=_prefill(context, tokens),
        decode_tokens_s=_decode(context, tokens, 1),
        batch_tokens_s=_decode(context, tokens, rows),
        rows=rows,
        perplexity=_perplexity(logits, tokens),
        divergence=_divergence(logits if reference is None else reference, logits),
    )
    return measured, logits


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
    """The logits after every position from `FIRST_POSITION` on: (positions, words)."""
    rows = []
    for begin in range(0, len(tokens), _ROWS):
        part = tokens[begin : begin + _ROWS]
        _read(context, part, begin, all_rows=True)
        for row in range(len(part)):
            pointer = llama_cpp.llama_get_logits_ith(context.pointer, row)
            if begin + row >= FIRST_POSITION:
                view = np.ctypeslib.as_array(
                    ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (words,)
                )
                rows.append(view.copy())
    context.drop(0)
    return np.stack(rows)


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_probabilities: Logits = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probabilities


def _perplexity(logits: Logits, tokens: list[int]) -> float:
    following = tokens[FIRST_POSITION + 1 :]
    log_probabilities = _log_softmax(logits[: len(following)])
    return float(np.exp(-log_probabilities[np.arange(len(following)), following].mean()))


def _divergence(reference: Logits, logits: Logits) -> float:
    true, measured = _log_softmax(reference), _log_softmax(logits)
    return max(0.0, float((np.exp(true) * (true - measured)).sum(axis=1).mean()))


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
