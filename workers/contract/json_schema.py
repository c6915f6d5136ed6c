"""The JSON Schemas that an answer can be held to.

A subset of draft 2020-12, so that every keyword that is taken is also obeyed:

- `type`: object, array, string, number, integer, boolean, null, or a list of these without other
  keywords; none at all: any value
- objects: `properties`, `required`, `additionalProperties` (true, false, or absent; properties that
  are not named are never produced where some are named)
- arrays: `items`, `minItems`, `maxItems`
- strings: `minLength`, `maxLength`, `format` date, time, date-time or uuid
- `enum`, `const`, `anyOf`, `oneOf`, and `$ref` to `#/$defs/...` or `#/definitions/...`
- annotations: `title`, `description`, `default`, `examples`, `$comment`, `$schema`, `$id`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: Nested deeper, or with more parts, a schema makes a grammar that takes seconds to build.
DEEPEST, MOST_PARTS = 24, 500
#: Bounds of the numbers in a schema: each becomes that many states of the grammar.
MOST_ITEMS, LONGEST_STRING = 256, 1000

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$comment", "$schema", "$id"}
)
_DEFINITIONS = ("$defs", "definitions")
_FORMATS = ("date", "time", "date-time", "uuid")
#: Type -> the keywords that may stand beside it.
_KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "number": frozenset(),
    "integer": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}


class UnsupportedSchema(ValueError):
    """The schema is not valid, or not in the subset; the message says where."""


def check_schema(schema: Any) -> None:
    """Refuse what is not in the subset.

    Raises:
        UnsupportedSchema: names the place and the keyword.
    """
    _Check(schema).run()


class _Check:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._parts = 0

    def run(self) -> None:
        self._visit(self._root, "schema", 0)
        if isinstance(self._root, Mapping):
            for name in _DEFINITIONS:
                for key, value in _mapping(self._root.get(name, {}), f"schema.{name}").items():
                    self._visit(value, f"schema.{name}.{key}", 1)

    def _visit(self, schema: Any, where: str, depth: int) -> None:
        self._parts += 1
        if depth > DEEPEST:
            raise UnsupportedSchema(f"{where} is nested deeper than {DEEPEST} levels")
        if self._parts > MOST_PARTS:
            raise UnsupportedSchema(f"the schema has more than {MOST_PARTS} parts")
        schema = _mapping(schema, where)
        declared = {
            key: value
            for key, value in schema.items()
            if key not in _ANNOTATIONS and not (depth == 0 and key in _DEFINITIONS)
        }
        for form, check in (
            ("$ref", self._ref),
            ("anyOf", self._union),
            ("oneOf", self._union),
            ("const", self._constants),
            ("enum", self._constants),
        ):
            if form in declared:
                beside = (
                    set(declared) - {form, "type"}
                    if form in ("const", "enum")
                    else {*declared} - {form}
                )
                _refuse(beside, where, f"beside {form!r}")
                check(
                    declared[form] if form != "const" else [declared[form]],
                    f"{where}.{form}",
                    depth,
                )
                return
        self._typed(declared, where, depth)

    def _ref(self, ref: Any, where: str, _depth: int) -> None:
        parts = ref.split("/") if isinstance(ref, str) else []
        if len(parts) != 3 or parts[0] != "#" or parts[1] not in _DEFINITIONS:
            raise UnsupportedSchema(f"{where} must point to '#/$defs/<name>'")
        if parts[2] not in _mapping(self._root.get(parts[1], {}), parts[1]):
            raise UnsupportedSchema(f"{where} points to {ref!r}, which is not there")

    def _union(self, options: Any, where: str, depth: int) -> None:
        if not isinstance(options, list) or not options:
            raise UnsupportedSchema(f"{where} must be a list that is not empty")
        for position, option in enumerate(options):
            self._visit(option, f"{where}.{position}", depth + 1)

    def _constants(self, values: Any, where: str, _depth: int) -> None:
        if not isinstance(values, list) or not values or len(values) > MOST_PARTS:
            raise UnsupportedSchema(f"{where} must be a list of 1 to {MOST_PARTS} values")
        for value in values:
            self._parts += 1
            if len(json.dumps(value)) > LONGEST_STRING:
                raise UnsupportedSchema(f"{where} has a value longer than {LONGEST_STRING}")

    def _typed(self, declared: Mapping[str, Any], where: str, depth: int) -> None:
        kind = declared.get("type")
        beside = set(declared) - {"type"}
        if kind is None:
            if beside & _KEYWORDS["object"]:
                kind = "object"
            else:
                _refuse(beside, where, "without a type")
                return
        if isinstance(kind, list):
            _refuse(beside, where, "beside several types")
            if not kind or not all(isinstance(name, str) and name in _KEYWORDS for name in kind):
                raise UnsupportedSchema(f"{where}.type must name {', '.join(_KEYWORDS)}")
            return
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            raise UnsupportedSchema(f"{where}.type must be one of {', '.join(_KEYWORDS)}")
        _refuse(beside - _KEYWORDS[kind], where, f"for type {kind!r}")
        if kind == "object":
            self._object(declared, where, depth)
        elif kind == "array":
            _bounds(declared, where, "minItems", "maxItems", MOST_ITEMS)
            if "items" in declared:
                self._visit(declared["items"], f"{where}.items", depth + 1)
        elif kind == "string":
            _bounds(declared, where, "minLength", "maxLength", LONGEST_STRING)
            if declared.get("format") not in (None, *_FORMATS):
                raise UnsupportedSchema(f"{where}.format must be one of {', '.join(_FORMATS)}")

    def _object(self, declared: Mapping[str, Any], where: str, depth: int) -> None:
        properties = _mapping(declared.get("properties", {}), f"{where}.properties")
        required = declared.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise UnsupportedSchema(f"{where}.required must be a list of names")
        for name in required:
            if name not in properties:
                raise UnsupportedSchema(f"{where}.required names {name!r}, which is no property")
        if not isinstance(declared.get("additionalProperties", False), bool):
            raise UnsupportedSchema(f"{where}.additionalProperties must be true or false")
        for name, value in properties.items():
            self._visit(value, f"{where}.properties.{name}", depth + 1)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnsupportedSchema(f"{where} must be an object")
    return value


def _refuse(keywords: set[str], where: str, when: str) -> None:
    if keywords:
        raise UnsupportedSchema(f"{where} has {min(keywords)!r}, which is not supported {when}")


def _bounds(declared: Mapping[str, Any], where: str, least: str, most: str, limit: int) -> None:
    for name in (least, most):
        value = declared.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
            raise UnsupportedSchema(f"{where}.{name} must be a whole number from 0 to {limit}")
    if declared.get(least, 0) > declared.get(most, limit):
        raise UnsupportedSchema(f"{where}.{least} is greater than {most}")
