"""Model files: what can be known before loading, and the format they are loaded in."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import llama_cpp

from presets import kv_cache
from presets.memory import machine
from presets.memory.footprint import kv_bytes_per_token
from presets.model import ModelSpec
from presets.weights import split, weight_files
from presets.weights.formats import requantised_file
from presets.weights.gguf import NotGGUF, read_metadata
from workers.contract.errors import InsufficientMemory, ModelLoadFailed

log = logging.getLogger(__name__)

#: Formats a file can be requantised to: our name -> llama.cpp's file type.
FORMATS = {
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "bf16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16,
    "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
}


def check(spec: ModelSpec) -> Path:
    """The model's file, if it is one.

    Raises:
        ModelLoadFailed: it is missing, unreadable, or no GGUF.
    """
    if spec.path is None:
        raise ModelLoadFailed(f"The catalogue names no file for {spec.id}.")
    if absence := weight_files.absence(spec):
        raise ModelLoadFailed(f"The file of {spec.id} is missing: {absence}.")
    try:
        read_metadata(spec.path)
    except NotGGUF as error:
        raise ModelLoadFailed(f"The file of {spec.id} is not a usable GGUF: {error}") from error
    except OSError as error:
        raise ModelLoadFailed(f"The file of {spec.id} cannot be read: {error}") from error
    return spec.path


def requantised(path: Path, form: str, cache_dir: Path) -> Path:
    """The same weights in another format, made once and kept in `cache_dir`.

    Raises:
        ModelLoadFailed: the format is unknown, or llama.cpp cannot make it.
    """
    if form not in FORMATS:
        raise ModelLoadFailed(f"unknown format {form!r}; known: {', '.join(sorted(FORMATS))}")
    target = requantised_file(path, form, cache_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.exists():
            log.info("requantising %s to %s, once", path.name, form)
            _requantise(path, target, form)
    return target


def _requantise(path: Path, target: Path, form: str) -> None:
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = FORMATS[form]
    parameters.allow_requantize = True
    unfinished = target.with_suffix(f".{os.getpid()}.part")
    try:
        failed = llama_cpp.llama_model_quantize(
            str(path).encode(), str(unfinished).encode(), parameters
        )
        if failed:
            raise ModelLoadFailed(f"{path} cannot be requantised to {form}; is the file whole?")
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Several workers of one model start together; one of them does the work."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def require_memory(spec: ModelSpec, path: Path, kv_tokens: int, gpu_layers: int) -> None:
    """Refuse a model that cannot fit, before it drives the machine into swap.

    Raises:
        InsufficientMemory: weights and KV pool need more than is free.
    """
    if gpu_layers != 0 and llama_cpp.llama_supports_gpu_offload():
        return  # what counts is the device's memory, which llama.cpp itself checks
    weights = sum(path.with_name(part).stat().st_size for part in split.parts(path.name))
    pool = kv_tokens * kv_bytes_per_token(read_metadata(path), kv_cache.of(spec.options))
    free = machine.read().available_bytes
    if weights + pool > free:
        raise InsufficientMemory(
            f"{spec.id} needs about {_mb(weights + pool)} MB (weights {_mb(weights)}, KV pool of "
            f"{kv_tokens} tokens {_mb(pool)}); {_mb(free)} MB are free.",
            details={
                "model": spec.id,
                "needed_mb": _mb(weights + pool),
                "available_mb": _mb(free),
            },
        )


def _mb(size_bytes: int) -> int:
    return size_bytes // 2**20
