"""The prompts of a text completion: a text, several, token ids, or several lists of them."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from web.schemas.fields import JsonField
from workers.contract.job import MOST_CHOICES_OF_PROMPTS

#: Vocabularies have fewer tokens; llama.cpp counts them in 32 bits.
_MOST_ID = 2**31 - 1
#: A text, or the ids of its tokens.
TextOrIds = str | tuple[int, ...]


class PromptsField(JsonField[tuple[TextOrIds, ...]]):
    """One prompt or several."""

    def __init__(self, *, most: int = MOST_CHOICES_OF_PROMPTS, **kwargs: Any) -> None:
        """`most`: so many at most."""
        super().__init__(**kwargs)
        self._most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[TextOrIds, ...]:
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise ValidationError("must be a string, a list of strings, token ids, or lists of ids")
        if not value:
            raise ValidationError("must not be empty")
        if isinstance(value[0], int | float):
            return (_ids(value, ""),)
        if len(value) > self._most:
            raise ValidationError(f"must have at most {self._most} items")
        return tuple(_prompt(item, f"item {place} ") for place, item in enumerate(value))

    def json_schema(self) -> dict[str, Any]:
        """A string, strings, ids, or lists of ids."""
        text = {"type": "string"}
        ids = {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": _MOST_ID},
            "minItems": 1,
        }
        many = {"type": "array", "minItems": 1, "maxItems": self._most}
        return {"anyOf": [text, {**many, "items": text}, ids, {**many, "items": ids}]}


def _prompt(item: Any, where: str) -> TextOrIds:
    if isinstance(item, str):
        return item
    if isinstance(item, list):
        return _ids(item, where)
    raise ValidationError(f"{where}must be a string or a list of token ids")


def _ids(items: list[Any], where: str) -> tuple[int, ...]:
    if not items:
        raise ValidationError(f"{where}must have token ids")
    for item in items:
        if type(item) is not int or not 0 <= item <= _MOST_ID:
            raise ValidationError(f"{where}must have token ids alone, each from 0 to {_MOST_ID}")
    return tuple(items)
