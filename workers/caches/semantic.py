"""Answers to questions, found by how much another question sounds like theirs.

An entry is whole in Redis: its vector, its scope, and the answer. A scope is the hash of all that
has to be alike for an answer to hold (`orchestration.semantic.scope`). What the worker of the
embedding model keeps is an index of the vectors, made from the entries and never trusted beyond
that: an entry that is not in Redis any longer is not found, whoever has dropped it.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.caches.kind import CacheKind, register

SEMANTIC = register(
    CacheKind(
        "semantic",
        "Answers, found by questions that ask the same in other words.",
        ttl_s=3600,
    )
)
#: The call by which the index is searched.
SEARCH = "semantic.search"
#: Candidates that one search gives at most.
MOST_CANDIDATES = 8
#: A form of entries, the numbers of the vector, and the scope stand before the vector.
_HEAD = struct.Struct("<2sH32s")
_FORM = b"s1"
_FLOAT_BYTES = 4
#: The numbers that a head can say of a vector.
_MOST_NUMBERS = 2**16 - 1
_ID = re.compile("[0-9a-f]{64}")


def vector_end(dimensions: int) -> int:
    """The bytes of an entry up to the end of its vector."""
    return _HEAD.size + dimensions * _FLOAT_BYTES


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer."""

    #: SHA-256 of all that shapes the answer, but the question's own words.
    scope: bytes
    #: Of the question: little-endian floats of 32 bits.
    vector: bytes
    question: str
    #: What the model thought and said, as it came: pairs of texts.
    pieces: tuple[tuple[str, str], ...]
    #: `Outcome.to_dict()` of the step that answered.
    outcome: Mapping[str, Any]
    #: When it was answered: Unix time in seconds.
    created: float

    @property
    def id(self) -> str:
        """The one place of an answer to this question in this scope."""
        return hashlib.sha256(self.scope + self.question.encode(errors="replace")).hexdigest()

    def encode(self) -> bytes:
        """As it is kept."""
        said = {
            "question": self.question,
            "pieces": self.pieces,
            "outcome": self.outcome,
            "created": self.created,
        }
        head = _HEAD.pack(_FORM, len(self.vector) // _FLOAT_BYTES, self.scope)
        return head + self.vector + json.dumps(said, ensure_ascii=False).encode(errors="replace")

    @classmethod
    def decode(cls, raw: bytes) -> Entry | None:
        """Rebuild an entry; None where it is none, or of a newer form."""
        head = decode_vector(raw)
        if head is None:
            return None
        scope, vector = head
        try:
            said = json.loads(raw[_HEAD.size + len(vector) :])
            return cls(
                scope,
                vector,
                str(said["question"]),
                tuple((str(thought), str(text)) for thought, text in said["pieces"]),
                dict(said["outcome"]),
                float(said["created"]),
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def decode_vector(raw: bytes) -> tuple[bytes, bytes] | None:
    """The scope and the vector at the beginning of an entry; None where there are none."""
    if len(raw) < _HEAD.size:
        return None
    form, dimensions, scope = _HEAD.unpack_from(raw)
    vector = raw[_HEAD.size : vector_end(dimensions)]
    if form != _FORM or not dimensions or len(vector) != dimensions * _FLOAT_BYTES:
        return None
    return scope, vector


def is_id(text: str) -> bool:
    """Whether a text may be the id of an entry."""
    return _ID.fullmatch(text) is not None


def is_vector(numbers: bytes) -> bool:
    """Whether bytes may be the vector of an entry."""
    count, rest = divmod(len(numbers), _FLOAT_BYTES)
    return 0 < count <= _MOST_NUMBERS and not rest
