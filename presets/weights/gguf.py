"""The metadata at the head of a GGUF file, read without loading the model.

Format: GGUF specification of ggml (versions 2 and 3, little endian). Of arrays only short ones of
numbers are kept, such as the heads of each layer: a vocabulary of 150,000 words says nothing that
a catalogue needs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

Scalar = int | float | bool | str
#: A value of the metadata: one, or one for each layer.
Value = Scalar | tuple[int | float | bool, ...]

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
#: Type number -> `struct` format of the scalars.
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
#: `general.file_type` -> the format's name (llama.cpp's `llama_ftype`).
_FILE_TYPES = {
    0: "f32",
    1: "f16",
    2: "q4_0",
    3: "q4_1",
    7: "q8_0",
    8: "q5_0",
    9: "q5_1",
    10: "q2_k",
    11: "q3_k_s",
    12: "q3_k_m",
    13: "q3_k_l",
    14: "q4_k_s",
    15: "q4_k_m",
    16: "q5_k_s",
    17: "q5_k_m",
    18: "q6_k",
    32: "bf16",
}
#: No model has more layers; longer arrays are vocabularies.
_LONGEST_ARRAY = 1024
_VOCABULARY = "tokenizer."
#: No honest name or template is longer; a broken file must not ask for gigabytes.
_LONGEST_TEXT = 16 * 1024 * 1024


class NotGGUF(ValueError):
    """The file is not a readable GGUF file; the message says why."""


def file_format(metadata: Mapping[str, Value]) -> str | None:
    """The format of most of the file's weights, e.g. `q4_k_m`; None where it has no name here."""
    number = metadata.get("general.file_type")
    return _FILE_TYPES.get(number) if isinstance(number, int) else None


def context_length(metadata: Mapping[str, Value]) -> int | None:
    """The tokens that the model was trained to take; None where the file does not tell."""
    value = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    return value if isinstance(value, int) else None


def read_metadata(path: Path) -> dict[str, Value]:
    """Keys and values of a GGUF file's head, arrays of texts and of vocabularies left out.

    Raises:
        NotGGUF: it is another kind of file, or cut off within its head.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise NotGGUF(f"{path} does not begin with 'GGUF'")
        try:
            version = _number(file, "I")
            if version not in (2, 3):
                raise NotGGUF(f"{path} is of GGUF version {version}; 2 and 3 are known")
            _number(file, "Q")  # count of tensors
            found: dict[str, Value] = {}
            for _ in range(int(_number(file, "Q"))):
                key = _text(file)
                kind = int(_number(file, "I"))
                if kind == _ARRAY:
                    numbers = _array(file)
                    if numbers and not key.startswith(_VOCABULARY):
                        found[key] = numbers
                elif kind == _STRING:
                    found[key] = _text(file)
                elif kind in _FORMATS:
                    found[key] = _number(file, _FORMATS[kind])
                else:
                    raise NotGGUF(f"{path}: key {key!r} has the unknown type {kind}")
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise NotGGUF(f"{path} is cut off or damaged within its metadata") from error
        return found


def _number(file: BinaryIO, kind: str) -> int | float | bool:
    form = "<" + kind
    value: int | float | bool = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _text(file: BinaryIO) -> str:
    length = int(_number(file, "Q"))
    if length > _LONGEST_TEXT:
        raise OverflowError
    raw = file.read(length)
    if len(raw) < length:
        raise struct.error
    return raw.decode("utf-8", "replace")


def _array(file: BinaryIO) -> tuple[int | float | bool, ...]:
    """The numbers of a short array; of any other none, and the file stands behind it."""
    kind, count = int(_number(file, "I")), int(_number(file, "Q"))
    if kind in _FORMATS:
        if count <= _LONGEST_ARRAY:
            return tuple(_number(file, _FORMATS[kind]) for _ in range(count))
        file.seek(count * struct.calcsize("<" + _FORMATS[kind]), 1)
        return ()
    skip: Callable[[], object]
    if kind == _STRING:
        skip = lambda: file.seek(int(_number(file, "Q")), 1)  # noqa: E731
    elif kind == _ARRAY:
        skip = lambda: _array(file)  # noqa: E731
    else:
        raise OverflowError
    for _ in range(count):
        skip()
    return ()
