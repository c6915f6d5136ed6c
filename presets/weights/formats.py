"""Formats of weights: how large they are, and where files made in one are kept."""

from __future__ import annotations

from pathlib import Path

#: Format -> bits of one weight. The plain formats by the size of ggml's blocks (q8_0: 34 bytes for
#: 32 weights); the mixed ones as llama.cpp's table of quantised sizes of Llama 3.1 8B has them
#: (tools/quantize/README.md), rounded.
BITS_PER_WEIGHT = {
    "f32": 32.0,
    "f16": 16.0,
    "bf16": 16.0,
    "q8_0": 8.5,
    "q6_k": 6.6,
    "q5_1": 6.0,
    "q5_0": 5.5,
    "q5_k_m": 5.7,
    "q5_k_s": 5.6,
    "q4_1": 5.0,
    "q4_0": 4.5,
    "q4_k_m": 4.9,
    "q4_k_s": 4.7,
    "q3_k_l": 4.3,
    "q3_k_m": 4.0,
    "q3_k_s": 3.7,
    "q2_k": 3.2,
}


def requantised_file(path: Path, form: str, cache_dir: Path) -> Path:
    """Where the same weights in another format are kept, there or not; a new file has another.

    Raises:
        OSError: the original cannot be looked at.
    """
    status = path.stat()
    name = f"{path.stem}-{status.st_size:x}-{status.st_mtime_ns:x}-{form}.gguf"
    return cache_dir / "weights" / name
