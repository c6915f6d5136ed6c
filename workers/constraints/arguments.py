"""To what the arguments of a tool's calls are held: its schema, or as much of it as can be.

Callers take schemas from other programs, whose parts no mask can hold: `uniqueItems`, `not`,
expressions with look-around. A strict tool with such a part is refused. For others it is left out
of what arguments are held to, as OpenAI's API holds only strict ones to their schemas.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.constraints import grammar
from workers.constraints.grammar import COMPILE_S, Unobeyable
from workers.contract.constraint import Constraint, ConstraintKind

#: Bytes of one tool's schema, and of all together. A worker compiles all of them as one grammar,
#: whose time grows with the square of the properties of one object: 700 in one, which are so many
#: bytes, take a third of a second, twice as many four times as long.
LONGEST_BYTES, MOST_BYTES = 64 * 1024, 256 * 1024


@dataclass(frozen=True, slots=True)
class HeldSchema:
    """A schema that arguments can be held to."""

    #: None: there are no arguments.
    schema: Mapping[str, Any] | None
    #: What of the caller's it leaves out, in llguidance's words; "" for nothing.
    relaxed: str = ""


class Arguments:
    """Looks at the schemas of one request's tools, within one bound of bytes and one of time."""

    def __init__(self) -> None:
        self._bytes_left = MOST_BYTES
        self._until = time.monotonic() + COMPILE_S

    def hold(self, schema: Mapping[str, Any] | None, *, strict: bool) -> HeldSchema:
        """To what a tool's arguments can be held.

        Raises:
            Unobeyable: not to this schema; the message goes on from its name and says why.
        """
        if schema is None:
            return HeldSchema(None)
        if schema.get("type", "object") != "object":
            raise Unobeyable('must be of the type "object": arguments have names')
        schema = {"type": "object", **schema}
        try:
            text = json.dumps(schema, ensure_ascii=False)
        except RecursionError:
            raise Unobeyable("is nested too deeply") from None
        size = len(text.encode(errors="replace"))
        if size > LONGEST_BYTES:
            raise Unobeyable(f"has {size} bytes; {LONGEST_BYTES} are taken at most")
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise Unobeyable(f"is too much: all schemas have {MOST_BYTES} bytes together at most")
        kept = _known.get(text, strict)
        if kept is None:
            kept = self._looked_at(schema, strict)
            _known.keep(text, strict, kept)
        return kept

    def _looked_at(self, schema: Mapping[str, Any], strict: bool) -> HeldSchema:
        try:
            return self._compiled(schema, lenient=not strict)
        except Unobeyable:
            readable = None if strict else _without_unreadable_patterns(schema)
            if readable is None or readable == schema:
                raise
        held = self._compiled(readable, lenient=True)
        return HeldSchema(readable, f"patterns with look-around {held.relaxed}".strip())

    def _compiled(self, schema: Mapping[str, Any], *, lenient: bool) -> HeldSchema:
        constraint = Constraint(ConstraintKind.JSON_SCHEMA, schema)
        left_s = max(0.0, self._until - time.monotonic())
        relaxed = grammar.check(constraint, lenient=lenient, within_s=left_s)
        return HeldSchema(schema, " ".join(relaxed))


class _Known:
    """Schemas that were looked at: an agent sends its tools with every turn of its loop."""

    #: As many as some agents have tools; longer texts would take too much memory.
    _MOST, _LONGEST = 512, 8192

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bool], HeldSchema] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, strict: bool) -> HeldSchema | None:
        with self._lock:
            if (held := self._kept.get((text, strict))) is not None:
                self._kept.move_to_end((text, strict))
            return held

    def keep(self, text: str, strict: bool, held: HeldSchema) -> None:
        if len(text) > self._LONGEST:
            return
        with self._lock:
            self._kept[text, strict] = held
            if len(self._kept) > self._MOST:
                self._kept.popitem(last=False)


_known = _Known()
#: Members of a schema that hold values and no schemas.
_VALUES = frozenset({"const", "default", "enum", "example", "examples"})


def _without_unreadable_patterns(node: Any) -> Any:
    """The schema without the regular expressions that llguidance cannot read."""
    if isinstance(node, list):
        return [_without_unreadable_patterns(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        name: value if name in _VALUES else _without_unreadable_patterns(value)
        for name, value in node.items()
        if not (name == "pattern" and isinstance(value, str) and not grammar.reads(value))
    }
