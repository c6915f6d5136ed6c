"""The types of one argument, by its schema: for families that write its value without them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: Schemas that one argument's may refer to in a row.
_MOST_REFERENCES = 32
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


def properties_of(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schemas of the arguments by their names, as far as the tool's schema names them."""
    root = parameters or {}
    schema = _resolved(root, root)
    found: dict[str, Any] = {}
    for part in (*_list(schema, "allOf"), schema):
        properties = _resolved(part, root).get("properties")
        if isinstance(properties, Mapping):
            found.update(properties)
    return found


def types_of(schema: Any, parameters: Mapping[str, Any] | None) -> frozenset[str]:
    """The types that a value may have; empty: any."""
    return _types(schema, parameters or {}, _MOST_REFERENCES)


def to_json(text: str, types: frozenset[str]) -> str:
    """A value that was written without quotes, as JSON: text unless it is of another type."""
    if types == {"string"}:
        return quote(text)
    written = _PYTHON_WORDS.get(text.strip(), text.strip())
    try:
        value = json.loads(written, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return quote(text)
    if isinstance(value, str):
        return quote(text)
    return written if not types or types & _kinds(value) else quote(text)


def quote(text: str) -> str:
    """A text as a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def _kinds(value: Any) -> set[str]:
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number", "integer"} if value.is_integer() else {"number"}
        case list():
            return {"array"}
    return {"object"}


def _types(schema: Any, root: Mapping[str, Any], left: int) -> frozenset[str]:
    schema = _resolved(schema, root)
    named = schema.get("type")
    if isinstance(named, str):
        return frozenset((named,))
    if isinstance(named, list):
        return frozenset(name for name in named if isinstance(name, str))
    values = [schema["const"]] if "const" in schema else _list(schema, "enum")
    if values:
        kinds = [{"string"} if isinstance(value, str) else _kinds(value) for value in values]
        return frozenset().union(*kinds)
    alternatives = [*_list(schema, "anyOf"), *_list(schema, "oneOf")]
    found = [_types(part, root, left - 1) for part in alternatives] if left else []
    return frozenset().union(*found) if all(found) else frozenset()


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference leads to."""
    for _ in range(_MOST_REFERENCES):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        schema = root
        for name in reference[1:].split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
