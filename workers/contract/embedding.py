"""Texts whose vectors are asked for, and vectors as they travel."""

from __future__ import annotations

import base64
import dataclasses
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields

#: Texts of one request at most: OpenAI's own bound.
MOST_INPUTS = 2048
#: Bytes of all vectors of a request: the most inputs with 4,096 numbers each.
MOST_VECTOR_BYTES = 32 * 2**20
#: A number of a vector is a float of 32 bits, little-endian wherever it travels.
FLOAT_BYTES = 4
#: A text, or the ids of its tokens.
Input = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """What vectors are asked for."""

    inputs: tuple[Input, ...]
    #: Numbers of each vector; None: all that the model gives.
    dimensions: int | None = None
    #: A text that is too long is read as far as it fits; else it is refused.
    truncate: bool = False
    #: The vectors come as OpenAI's `base64`; else as lists of numbers.
    as_base64: bool = False

    @property
    def characters(self) -> int:
        """Characters of all texts."""
        return sum(len(each) for each in self.inputs if isinstance(each, str))

    @property
    def token_ids(self) -> int:
        """Token ids of all inputs that came as such."""
        return sum(len(each) for each in self.inputs if not isinstance(each, str))

    @property
    def texts(self) -> tuple[str, ...]:
        """What is read, token ids as their list is written."""
        return tuple(each if isinstance(each, str) else str(list(each)) for each in self.inputs)

    def without_texts(self) -> Embedding:
        """What is kept of it once they were made."""
        return dataclasses.replace(self, inputs=())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Embedding:
        """Rebuild what `to_dict` wrote."""
        known = known_fields(cls, data)
        known["inputs"] = tuple(
            each if isinstance(each, str) else tuple(each) for each in data["inputs"]
        )
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; ids are not looked at one by one, as `asdict` would."""
        data = dataclasses.asdict(self.without_texts())
        return {**data, "inputs": self.inputs}


def encoded(numbers: bytes) -> str:
    """Little-endian floats as JSON carries them."""
    return base64.b64encode(numbers).decode("ascii")


def decoded(data: str) -> bytes:
    """The little-endian floats of `encoded`."""
    return base64.b64decode(data)


def numbers(raw: bytes) -> list[float]:
    """The numbers in little-endian floats."""
    floats = array("f", raw)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tolist()
