"""What a caller keeps with a job, for itself."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from web.schemas.fields import JsonField, kind


class Metadata(JsonField[dict[str, str]]):
    """Pairs of texts, as OpenAI has them."""

    #: OpenAI's bounds.
    MOST, LONGEST_NAME, LONGEST_VALUE = 16, 64, 512

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError(f"must be an object, not {kind(value)}")
        if len(value) > self.MOST:
            raise ValidationError(f"must have at most {self.MOST} pairs")
        for name, text in value.items():
            if not 1 <= len(name) <= self.LONGEST_NAME:
                raise ValidationError(f"names must have from 1 to {self.LONGEST_NAME} characters")
            if not isinstance(text, str):
                raise ValidationError({name: [f"must be a string, not {kind(text)}"]})
            if len(text) > self.LONGEST_VALUE:
                raise ValidationError(
                    {name: [f"must have at most {self.LONGEST_VALUE} characters"]}
                )
        return value

    def _json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "maxProperties": self.MOST,
            "propertyNames": {"minLength": 1, "maxLength": self.LONGEST_NAME},
            "additionalProperties": {"type": "string", "maxLength": self.LONGEST_VALUE},
        }
