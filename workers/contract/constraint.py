"""What the text of an answer is held to."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ConstraintKind(enum.StrEnum):
    """How a constraint says what it allows."""

    #: Any JSON object; it has no source.
    JSON_OBJECT = "json_object"
    #: JSON that follows a schema: a mapping.
    JSON_SCHEMA = "json_schema"
    #: The whole text matches a regular expression: a string.
    REGEX = "regex"
    #: One of several texts: a tuple of strings.
    CHOICE = "choice"
    #: The text follows a grammar in Lark's form, as llguidance reads it: a string.
    LARK = "lark"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint. It holds the content of an answer, not what the model thinks before it."""

    kind: ConstraintKind
    #: What the kind says; None where it has none.
    source: Any = None
    #: The request's field that it came from, by which errors name it.
    param: str = "response_format"

    @property
    def is_json(self) -> bool:
        """The answer is JSON."""
        return self.kind in (ConstraintKind.JSON_OBJECT, ConstraintKind.JSON_SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, in the words of the records before there were other kinds than JSON.

        A worker that knows JSON alone finds a `schema` here that is none, and refuses it; it would
        answer without a constraint if the source stood under a name that is new to it.
        """
        return {"type": str(self.kind), "schema": self.source, "param": self.param}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Constraint:
        """Rebuild a constraint.

        Raises:
            ValueError: a newer version has written a kind that this one does not know.
        """
        kind = ConstraintKind(data["type"])
        source = data.get("schema")
        if kind is ConstraintKind.CHOICE:
            source = tuple(source or ())
        return cls(kind, source, data.get("param", "response_format"))
