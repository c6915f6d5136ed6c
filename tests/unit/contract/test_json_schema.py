import pytest

from workers.contract.json_schema import DEEPEST, UnsupportedSchema, check_schema

PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 40, "description": "full"},
        "born": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", None]}, "maxItems": 3},
        "boss": {"anyOf": [{"$ref": "#/$defs/boss"}, {"type": "null"}]},
        "kind": {"const": "person"},
        "more": {},
        "size": {"type": ["integer", "null"]},
    },
    "required": ["name", "kind"],
    "additionalProperties": False,
    "$defs": {"boss": {"type": "object", "properties": {"of": {"$ref": "#/$defs/boss"}}}},
}


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize("schema", [{}, PERSON, {"type": "boolean"}, nested(DEEPEST - 1)])
def test_the_subset_is_taken(schema):
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (None, "schema must be an object"),
        ({"type": "text"}, "schema.type"),
        ({"type": "string", "pattern": "^a$"}, "'pattern', which is not supported"),
        ({"type": "integer", "minimum": 3}, "'minimum'"),
        ({"type": "object", "properties": {"a": {"allOf": []}}}, "schema.properties.a"),
        ({"type": "object", "required": ["a"]}, "names 'a'"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "additionalProperties"),
        ({"$ref": "https://example.org/schema"}, "must point to"),
        ({"$ref": "#/$defs/nix"}, "not there"),
        ({"anyOf": []}, "not empty"),
        ({"anyOf": [{}], "type": "string"}, "beside 'anyOf'"),
        ({"type": ["string", "null"], "maxLength": 3}, "beside several types"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "greater"),
        ({"type": "array", "maxItems": 10**9}, "maxItems"),
        ({"type": "string", "maxLength": True}, "maxLength"),
        ({"enum": []}, "enum"),
        ({"enum": ["x" * 2000]}, "longer"),
        ({"minLength": 3}, "without a type"),
        (nested(DEEPEST + 1), "deeper"),
        ({"anyOf": [{}] * 1000}, "parts"),
    ],
)
def test_what_would_not_be_obeyed_is_refused_with_its_place(schema, says):
    with pytest.raises(UnsupportedSchema, match=says.replace("$", r"\$")):
        check_schema(schema)
