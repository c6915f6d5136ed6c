"""Schemas of JSON objects, and how what they refuse is worded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from web.schemas.refusals import invalid

#: Marshmallow's words -> ours, which go on from the field's name.
_WORDING = {
    "Missing data for required field": "is missing",
    "Field may not be null": "must not be null",
    "Not a valid list": "must be a list",
    "Not a valid mapping type": "must be an object",
    "Invalid input type": "must be an object",
    "Shorter than minimum length 1": "must not be empty",
}


class LenientSchema(Schema):
    """An object whose unknown fields are let pass: other services know them."""

    class Meta:
        """Marshmallow's options."""

        unknown = EXCLUDE

    def read(self, data: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """The object's fields; `options` are those of marshmallow's `load`.

        Raises:
            ValidationFailed: a field is missing or wrong; names the first.
        """
        try:
            loaded: dict[str, Any] = self.load(data, **options)
        except ValidationError as error:
            raise invalid(*_first(error.normalized_messages())) from None
        return loaded


def _first(messages: Any) -> tuple[str, str]:
    """The path of the first wrong field in marshmallow's nested answer, and what is wrong."""
    path: list[str] = []
    while isinstance(messages, dict):
        name, messages = next(iter(messages.items()))
        if name != "_schema":
            path.append(str(name))
    problem = messages[0] if isinstance(messages, list) else str(messages)
    problem = str(problem).rstrip(".")
    return ".".join(path), _WORDING.get(problem, problem)
