"""`response_format`: what callers send, and what a job keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from web.schemas.fields import Flag, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import invalid
from workers.contract.job import ResponseFormat
from workers.contract.json_schema import UnsupportedSchema, check_schema

TYPES = ("text", "json_object", "json_schema")


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


def read(asked: Mapping[str, Any] | None) -> ResponseFormat | None:
    """The format from what `ResponseFormatSchema` has loaded; None where any text will do.

    Raises:
        ValidationFailed: the schema is missing, no JSON Schema, or not in the subset that
            `workers.contract.json_schema` names.
    """
    if asked is None or asked["type"] == "text":
        return None
    if asked["type"] == "json_object":
        return ResponseFormat("json_object")
    named = asked.get("json_schema")
    if named is None:
        raise invalid("response_format.json_schema", "is missing")
    try:
        check_schema(named["schema"])
    except UnsupportedSchema as error:
        raise invalid("response_format.json_schema.schema", f"cannot be used: {error}") from None
    return ResponseFormat("json_schema", named["schema"])
