"""The metadata at the head of a GGUF file, read without loading the model.

Format: GGUF specification of ggml (versions 2 and 3, little endian). Of arrays only short ones of
numbers are kept, such as the heads of each layer. Of a vocabulary of 150,000 words a catalogue
needs to know one thing: whether it has the marks of gaps that the model fills (`KNOWS_GAPS`).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from presets.weights.infill_tokens import INFILL_TOKENS

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
#: Real heads have some 50 keys, arrays of numbers or texts alone, and vocabularies of 260,000 words
#: beside as many merges.
_MOST_KEYS = 10_000
_DEEPEST_ARRAY = 4
_MOST_ITEMS = 10_000_000
#: Size in the metadata, under its architecture's name -> the least and the most that it can be.
_SIZES = {
    "context_length": (1, 2**31 - 1),
    "block_count": (1, _LONGEST_ARRAY),
    "embedding_length": (1, 2**24),
    "feed_forward_length": (0, 2**28),
    "attention.head_count": (0, 2**20),
    "attention.head_count_kv": (0, 2**20),
    "attention.key_length": (0, 2**20),
    "attention.value_length": (0, 2**20),
}
_VOCABULARY = "tokenizer."
_TOKENS = "tokenizer.ggml.tokens"
#: Of a vocabulary in which every mark of some family has a token.
KNOWS_GAPS = "tokenizer.knows_gaps"
#: Keys by which a file names its marks itself (llama.cpp's `llm_kv`), now and before.
_NAMED_MARKS = (
    tuple(f"tokenizer.ggml.fim_{mark}_token_id" for mark in ("pre", "suf", "mid")),
    tuple(f"tokenizer.ggml.{mark}_token_id" for mark in ("prefix", "suffix", "middle")),
)
_MARKS = frozenset(mark.encode() for family in INFILL_TOKENS for mark in family)
_LONGEST_MARK = max(map(len, _MARKS))
#: No honest name or template is longer; a broken file must not ask for gigabytes.
_LONGEST_TEXT = 16 * 1024 * 1024


class NotGGUF(ValueError):
    """The file is not a readable GGUF file; the message says why."""


def file_format(metadata: Mapping[str, Value]) -> str | None:
    """The format of most of the file's weights, e.g. `q4_k_m`; None where it has no name here."""
    number = metadata.get("general.file_type")
    return _FILE_TYPES.get(number) if isinstance(number, int) else None


def context_length(metadata: Mapping[str, Value]) -> int | None:
    """The tokens that the model was trained to take; None where the file does not say."""
    value = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    return value if isinstance(value, int) else None


def read_metadata(path: Path) -> dict[str, Value]:
    """Keys and values of a GGUF file's head, arrays of texts and of vocabularies left out.

    Raises:
        NotGGUF: it is another kind of file, cut off within its head, or says what no model is.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise NotGGUF(f"{path} does not begin with 'GGUF'")
        head = _Head(file, os.fstat(file.fileno()).st_size)
        try:
            head.read()
        except _Damaged as damage:
            raise NotGGUF(f"{path} is cut off or damaged within its metadata: {damage}") from None
    if problem := _absurdity(head.metadata):
        raise NotGGUF(f"{path} is no model: {problem}")
    return head.metadata


def read_beginning(raw: bytes) -> dict[str, Value]:
    """What the first bytes of a file say: those of its pairs that lie whole within them.

    Writers put what the file is (`general.*`, the architecture's sizes) before the vocabulary.

    Raises:
        NotGGUF: it is another kind of file.
    """
    if not raw.startswith(_MAGIC):
        raise NotGGUF("it does not begin with 'GGUF'")
    file = io.BytesIO(raw)
    file.seek(len(_MAGIC))
    head = _Head(file, len(raw))
    with suppress(_Damaged):
        head.read()
    return head.metadata


class _Damaged(ValueError):
    """What is wrong within the head."""


class _Head:
    """A reader of what follows the magic. It never reads or skips beyond the file's end."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        #: What was read so far.
        self.metadata: dict[str, Value] = {}
        self._file = file
        self._left = size_bytes - file.tell()
        #: Items of arrays that may still be walked over one by one.
        self._items_left = _MOST_ITEMS
        self._looks_for_marks = False
        self._marks: set[bytes] = set()

    def read(self) -> None:
        version = self._number("I")
        if version not in (2, 3):
            raise _Damaged(f"it is of GGUF version {version}; 2 and 3 are known")
        self._count()  # of tensors
        pairs = self._count()
        if pairs > _MOST_KEYS:
            raise _Damaged(f"it has {pairs} keys; at most {_MOST_KEYS} are read")
        for _ in range(pairs):
            key = self._text()
            kind = int(self._number("I"))
            if kind == _ARRAY:
                self._looks_for_marks = key == _TOKENS
                numbers = self._array()
                if numbers and not key.startswith(_VOCABULARY):
                    self.metadata[key] = numbers
            elif kind == _STRING:
                self.metadata[key] = self._text()
            else:
                self.metadata[key] = self._number(self._format(kind))
        named = any(all(key in self.metadata for key in keys) for keys in _NAMED_MARKS)
        written = any(all(mark.encode() in self._marks for mark in f) for f in INFILL_TOKENS)
        if named or written:
            self.metadata[KNOWS_GAPS] = True

    def _take(self, count: int) -> bytes:
        raw = self._file.read(count) if count <= self._left else b""
        if len(raw) < count:
            raise _Damaged("it ends too early")
        self._left -= count
        return raw

    def _skip(self, count: int) -> None:
        if count > self._left:
            raise _Damaged(f"something in it is said to have {count} bytes, more than the file")
        self._file.seek(count, os.SEEK_CUR)
        self._left -= count

    def _number(self, form: str) -> int | float | bool:
        value: int | float | bool = struct.unpack(
            "<" + form, self._take(struct.calcsize("<" + form))
        )[0]
        return value

    def _count(self) -> int:
        return int(self._number("Q"))

    def _text(self) -> str:
        length = self._count()
        if length > _LONGEST_TEXT:
            raise _Damaged(f"a text in it is said to have {length} bytes")
        return self._take(length).decode("utf-8", "replace")

    def _format(self, kind: int) -> str:
        try:
            return _FORMATS[kind]
        except KeyError:
            raise _Damaged(f"it has a value of the unknown type {kind}") from None

    def _word(self) -> None:
        """Pass over a text of an array; one of the marks is noted."""
        length = self._count()
        if not self._looks_for_marks or length > _LONGEST_MARK:
            self._skip(length)
        elif (word := self._take(length)) in _MARKS:
            self._marks.add(word)

    def _array(self, depth: int = 1) -> tuple[int | float | bool, ...]:
        """The numbers of a short array; of any other none, and the file stands after it."""
        kind, count = int(self._number("I")), self._count()
        if kind in (_STRING, _ARRAY):
            self._items_left -= count
            if self._items_left < 0:
                raise _Damaged(f"its arrays have more than {_MOST_ITEMS} items")
            if depth >= _DEEPEST_ARRAY and kind == _ARRAY:
                raise _Damaged(f"its arrays are nested deeper than {_DEEPEST_ARRAY}")
            for _ in range(count):
                if kind == _STRING:
                    self._word()
                else:
                    self._array(depth + 1)
            return ()
        form = self._format(kind)
        if count <= _LONGEST_ARRAY:
            return tuple(self._number(form) for _ in range(count))
        self._skip(count * struct.calcsize("<" + form))
        return ()


def _absurdity(metadata: Mapping[str, Value]) -> str | None:
    """A size that no model has; None where all can be reckoned with."""
    architecture = metadata.get("general.architecture")
    for name, (least, most) in _SIZES.items():
        value = metadata.get(f"{architecture}.{name}")
        for number in value if isinstance(value, tuple) else (value,):
            if number is None:
                continue
            if not isinstance(number, int | float) or not least <= number <= most:
                return f"its {name} is {str(number)[:40]!r}, and that is from {least} to {most}"
    return None
