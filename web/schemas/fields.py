"""Fields that take a JSON value for what it is: a string is no number, nor is a boolean.

Each knows the JSON Schema of what it takes, so that the API's description has the same bounds.
"""

from __future__ import annotations

from typing import Any, TypeVar

from marshmallow import ValidationError, fields, validate

_Value = TypeVar("_Value")


class JsonField(fields.Field[_Value]):
    """A field with its JSON Schema; where it is not required, null stands for its absence."""

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        metadata = {} if description is None else {"description": description}
        kwargs.setdefault("allow_none", not kwargs.get("required"))
        super().__init__(metadata=metadata, **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The values that are taken; null among them where it is."""
        schema = self._json_schema()
        if self.allow_none:
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        return schema

    def _json_schema(self) -> dict[str, Any]:
        raise NotImplementedError


class Whole(JsonField[int]):
    """A whole number; 3.0 is one, True and "3" are not."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError(f"must be a whole number, not {kind(value)}")
        if not self.least <= value <= self.most:
            raise ValidationError(f"must be from {self.least} to {self.most}")
        return value

    def _json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Decimal(JsonField[float]):
    """A finite number."""

    def __init__(self, least: float, most: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError(f"must be a number, not {kind(value)}")
        if not self.least <= value <= self.most:  # NaN and infinity are not
            raise ValidationError(f"must be from {self.least:g} to {self.most:g}")
        return float(value)

    def _json_schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


class Flag(JsonField[bool]):
    """True or false."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(f"must be true or false, not {kind(value)}")
        return value

    def _json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Text(JsonField[str]):
    """A string of bounded length; with `choices`, one of them."""

    def __init__(
        self,
        *,
        least: int = 0,
        most: int | None = None,
        choices: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.least, self.most, self.choices = least, most, choices

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(f"must be a string, not {kind(value)}")
        if self.choices and value not in self.choices:
            several = "one of " if len(self.choices) > 1 else ""
            raise ValidationError(f"must be {several}{', '.join(self.choices)}")
        if len(value) < self.least:
            raise ValidationError("must not be empty")
        if self.most is not None and len(value) > self.most:
            raise ValidationError(f"must have at most {self.most} characters")
        return value

    def _json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.least:
            schema["minLength"] = self.least
        if self.most is not None:
            schema["maxLength"] = self.most
        return schema


class Items(fields.List[Any]):
    """A list whose first wrong item ends its loading: an answer names one fault, not thousands.

    Where it has more items than may be, none of them is looked at. No item is null.
    """

    def __init__(self, inner: fields.Field[Any], *, most: int | None = None, **kwargs: Any) -> None:
        """`most`: so many items at most."""
        self._length = None
        if most is not None:
            self._length = validate.Length(max=most, error=f"must have at most {most} items")
            kwargs["validate"] = self._length
        super().__init__(inner, **kwargs)
        self.inner.allow_none = False  # nothing is absent in a list

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if self._length is not None:
            self._length(value)
        loaded = []
        for position, item in enumerate(value):
            try:
                loaded.append(self.inner.deserialize(item, **kwargs))
            except ValidationError as error:
                raise ValidationError({position: error.messages}) from None
        return loaded


class Content(JsonField[str | list[Any]]):
    """Text, or a list of parts, which `messages.read` looks into: it knows where they stand."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | list[Any]:
        if not isinstance(value, str | list):
            raise ValidationError(f"must be a string or a list of text parts, not {kind(value)}")
        return value

    def json_schema(self) -> dict[str, Any]:
        """A string, a list of objects, or null."""
        parts = {"type": "array", "items": {"type": "object"}}
        return {"anyOf": [{"type": "string"}, parts, {"type": "null"}]}


class Stop(JsonField[tuple[str, ...]]):
    """One stop string or several."""

    MOST, LONGEST = 16, 500

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValidationError("must be a string or a list of strings")
        if len(texts) > self.MOST:
            raise ValidationError(f"must have at most {self.MOST} strings")
        if any(not text or len(text) > self.LONGEST for text in texts):
            raise ValidationError(f"each string must have from 1 to {self.LONGEST} characters")
        return tuple(texts)

    def json_schema(self) -> dict[str, Any]:
        """A string, a list of strings, or null."""
        text = {"type": "string", "minLength": 1, "maxLength": self.LONGEST}
        texts = {"type": "array", "items": text, "maxItems": self.MOST}
        return {"anyOf": [text, texts, {"type": "null"}]}


def kind(value: Any) -> str:
    """What a JSON value is, for a message."""
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")
