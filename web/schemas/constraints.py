"""What holds an answer's text: every spelling that callers know, and the constraint it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

from web.schemas.fields import Flag, Items, JsonField, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import excerpt, header_safe, invalid
from workers.constraints import bounds, gbnf, grammar
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import UnsupportedParameter

TYPES = ("text", "json_object", "json_schema")

#: Parts of `structured_outputs` that would change the answer, and cannot.
_UNSUPPORTED = (
    "disable_additional_properties",
    "disable_any_whitespace",
    "structural_tag",
    "whitespace_pattern",
)


class SchemaField(JsonField[Any]):
    """A JSON Schema: an object, or the text of one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, str):
            if len(value) > bounds.MOST_BYTES:
                raise ValidationError(f"must have at most {bounds.MOST_BYTES} characters")
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValidationError("must be an object, or the JSON text of one") from None
        if not isinstance(value, dict):
            raise ValidationError("must be an object, or the JSON text of one")
        return value

    def json_schema(self) -> dict[str, Any]:
        """An object, a string, or null."""
        return {"anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}]}


class SourceField(Text):
    """A regular expression or a grammar."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=bounds.MOST_BYTES, **kwargs)


class ChoiceField(Items):
    """Texts of which the answer is one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            Text(required=True),
            allow_none=True,
            most=bounds.MOST_CHOICES,
            **kwargs,
        )


class NamedSchema(LenientSchema):
    """A JSON Schema with the name its caller gives it."""

    name = Text(most=64)
    description = Text(most=10_000)
    strict = Flag()
    schema = fields.Dict(required=True)


class ResponseFormatSchema(LenientSchema):
    """Text, any JSON object, or JSON that follows a schema."""

    type = Text(required=True, choices=TYPES)
    json_schema = fields.Nested(NamedSchema, allow_none=True)
    schema = SchemaField()


class StructuredOutputsSchema(LenientSchema):
    """vLLM's spelling: one of these."""

    json = SchemaField()
    regex = SourceField()
    choice = ChoiceField()
    grammar = SourceField()
    json_object = Flag()


def read(
    data: Mapping[str, Any], body: Mapping[str, Any]
) -> tuple[Constraint | None, tuple[str, ...]]:
    """The constraint of a loaded body, and what of it is relaxed.

    `body`: as it was sent, whose parts of `structured_outputs` are looked at by name.

    Raises:
        ValidationFailed: it cannot be obeyed, or there are two; names the field.
        UnsupportedParameter: a part of it is not there yet.
    """
    _refuse_unsupported(body.get("structured_outputs"))
    given = [*_of_response_format(data.get("response_format")), *_of_names(data)]
    if not given:
        return None, ()
    if len(given) > 1:
        both = " and ".join(constraint.param for constraint in given[:2])
        raise invalid(given[1].param, f"is one constraint too many: {both} are given, one is taken")
    (constraint,) = given
    try:
        return constraint, grammar.check(constraint)
    except grammar.Unobeyable as error:
        raise invalid(constraint.param, str(error)) from None


def _of_response_format(asked: Mapping[str, Any] | None) -> list[Constraint]:
    if asked is None or asked["type"] == "text":
        return []
    # llama-cpp-python's spelling, and llama-server's: the schema beside the type.
    beside = asked.get("schema")
    named = asked.get("json_schema")
    given = []
    if named is not None and asked["type"] == "json_schema":
        given.append(_schema(named["schema"], "response_format.json_schema.schema"))
    if beside is not None:
        given.append(_schema(beside, "response_format.schema"))
    if not given and asked["type"] == "json_schema":
        raise invalid("response_format.json_schema", "is missing")
    return given or [Constraint(ConstraintKind.JSON_OBJECT)]


def _of_names(data: Mapping[str, Any]) -> list[Constraint]:
    structured = data.get("structured_outputs")
    given = []
    if structured is not None:
        given = _given(structured, "structured_outputs.")
        if not given:
            names = "json, regex, choice, grammar, json_object"
            raise invalid("structured_outputs", f"must have one of {names}")
    older = [make(data[name], name) for name, make in _OLDER.items() if data.get(name) is not None]
    return [*given, *older]


def _given(structured: Mapping[str, Any], prefix: str) -> list[Constraint]:
    return [
        make(structured[name], prefix + name)
        for name, make in _STRUCTURED.items()
        if structured.get(name) is not None and structured[name] is not False
    ]


def _schema(source: Any, param: str) -> Constraint:
    return Constraint(ConstraintKind.JSON_SCHEMA, source, param)


def _regex(source: Any, param: str) -> Constraint:
    return Constraint(ConstraintKind.REGEX, source, param)


def _choice(source: Any, param: str) -> Constraint:
    return Constraint(ConstraintKind.CHOICE, tuple(source), param)


def _grammar(source: Any, param: str) -> Constraint:
    try:
        return Constraint(ConstraintKind.LARK, gbnf.to_lark(source), param)
    except ValueError as error:
        raise invalid(param, grammar.reason(str(error))) from None


def _json_object(_source: Any, param: str) -> Constraint:
    return Constraint(ConstraintKind.JSON_OBJECT, None, param)


_STRUCTURED: Mapping[str, Callable[[Any, str], Constraint]] = {
    "json": _schema,
    "regex": _regex,
    "choice": _choice,
    "grammar": _grammar,
    "json_object": _json_object,
}
_OLDER: Mapping[str, Callable[[Any, str], Constraint]] = {
    "guided_json": _schema,
    "guided_regex": _regex,
    "guided_choice": _choice,
    "guided_grammar": _grammar,
    "grammar": _grammar,
    "json_schema": _schema,
}


def _refuse_unsupported(structured: Any) -> None:
    """Nothing of `structured_outputs` is dropped: what is not obeyed is refused."""
    if not isinstance(structured, dict):
        return
    for name, value in structured.items():
        if name in _STRUCTURED or name.startswith("_") or value in (None, False):
            continue
        param = f"structured_outputs.{header_safe(name)}"
        if name in _UNSUPPORTED:
            raise UnsupportedParameter(
                f"{param} is not supported yet; leave it out.", details={"param": param}
            )
        raise invalid(param, f"is unknown; {excerpt(', '.join(_STRUCTURED))} are known")
