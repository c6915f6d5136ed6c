"""Bounds of a body, counted before it is parsed.

A parsed body can be twenty times as large as its text: 15 MB of `0,0,0` are 8 million objects, and
a validator that lists what is wrong with each of them takes minutes. So every endpoint declares its
bounds beside its schema, and one pass over the bytes holds them before anything is made of them.

What was weighed: msgspec stops at the first wrong item, but has no bound for honest ones, and would
need every schema a second time beside those that describe the API; orjson and jiter have a bound
for depth alone; ijson takes a second for each million of values and leaves the counting to us. The
pass here is one regular expression of the standard library: strings are skipped at the speed of C,
and it stops at the first value that is one too many, so its cost is bounded by the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workers.contract.errors import MalformedJSON, PayloadTooLarge, ValidationFailed

View = TypeVar("View", bound=Callable[..., Any])

#: Bytes that count for nothing: commas, colons, white space, and what is no JSON.
_NOTHING = rb"""[^-+.0-9A-Za-z\[{\]}"]*+"""
#: A string, a number or a word, or one mark, each with the nothing after it. A quote that begins no
#: string is a mark, so that text without an end is not searched again from each quote in it. No
#: input can be matched in two ways (`*+`), so none makes the search go back.
_PIECE = re.compile(
    rb"""(?:"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)"|(?P<word>[-+.0-9A-Za-z]++)|(?P<mark>[\[{\]}"]))"""
    + _NOTHING,
    re.DOTALL,
)
_BEFORE = re.compile(_NOTHING)
#: No number of any use is longer: a double has 17 digits and at most 5 characters of exponent, an
#: integer of 64 bits has 19. Python's own conversion is quadratic in the length.
_LONGEST_NUMBER = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a body may be, in every respect that costs something."""

    #: Bytes of the body; None: as INFERENCE_MAX_BODY_MB says.
    bytes: int | None = None
    #: Values of every kind and names of members together.
    nodes: int = 100_000
    #: Levels of lists and objects in each other; tool-call histories stay below ten.
    depth: int = 64
    #: Bytes of one string, as it stands in the body.
    string_bytes: int = 8 * 2**20


#: What an endpoint takes that declares nothing: options, no content.
SMALL = Bounds(bytes=64 * 1024, nodes=1000, string_bytes=16 * 1024)


def bounded(bounds: Bounds) -> Callable[[View], View]:
    """Declare the bounds of the bodies that a view takes."""

    def declare(view: View) -> View:
        view.bounds = bounds  # type: ignore[attr-defined]
        return view

    return declare


def of_view(view: Callable[..., Any] | None) -> Bounds:
    """The bounds that a view declared."""
    declared = getattr(view, "bounds", SMALL)
    if not isinstance(declared, Bounds):
        raise TypeError(f"{view} declares {declared!r} for its bounds")
    return declared


def check(raw: bytes, bounds: Bounds) -> int:
    """Hold a JSON text against its bounds, in one pass that ends at the first excess.

    What is no JSON in other ways is left to the parser. Returns how many values and names it has.

    Raises:
        PayloadTooLarge: too many values, or too long a string.
        ValidationFailed: a number of more digits than any use has.
        MalformedJSON: too deep, a string that does not end, or more closed than was opened.
    """
    nodes = depth = 0
    before = _BEFORE.match(raw)
    for piece in _PIECE.finditer(raw, before.end() if before else 0):
        kind = piece.lastgroup or ""
        if kind == "mark":
            mark = piece["mark"]
            if mark in b"]}":
                depth -= 1
                if depth < 0:  # an endless row of these would count for nothing
                    raise MalformedJSON(f"The body is not valid JSON: a {mark.decode()} too many.")
                continue
            if mark == b'"':
                raise MalformedJSON("The body is not valid JSON: a string does not end.")
            depth += 1
            if depth > bounds.depth:
                raise MalformedJSON(
                    f"The body is nested deeper than {bounds.depth} levels.",
                    details={"bound": "depth", "limit": bounds.depth},
                )
        else:
            _check_length(kind, piece.end(kind) - piece.start(kind), bounds)
        nodes += 1
        if nodes > bounds.nodes:
            raise PayloadTooLarge(
                f"The body has more than {bounds.nodes} values.",
                details={"bound": "values", "limit": bounds.nodes},
            )
    return nodes


def _check_length(kind: str, length: int, bounds: Bounds) -> None:
    if kind == "text" and length > bounds.string_bytes:
        raise PayloadTooLarge(
            f"The body has a string of more than {bounds.string_bytes} bytes.",
            details={"bound": "string_bytes", "limit": bounds.string_bytes},
        )
    if kind == "word" and length > _LONGEST_NUMBER:
        raise ValidationFailed(
            f"The body has a number of more than {_LONGEST_NUMBER} characters.",
            details={"param": None, "bound": "number", "limit": _LONGEST_NUMBER},
        )
