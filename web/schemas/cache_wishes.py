"""What a request says of the semantic cache: its field `cache`, and the header Cache-Control."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from orchestration.semantic.eligibility import CacheWishes
from web.schemas.fields import Flag, JsonField, kind
from web.schemas.lenient import LenientSchema

NO_STORE = "no-store"


class CacheSchema(LenientSchema):
    """What the caller knows of the answer; the names with a dash are LiteLLM's."""

    no_store = Flag(data_key="no-store")
    no_cache = Flag(data_key="no-cache")
    user_specific = Flag()
    time_sensitive = Flag()
    any_temperature = Flag()


class CacheField(JsonField[CacheWishes]):
    """`no-store`, or an object; a name in it that is unknown is refused: it might mean a lot."""

    _schema = CacheSchema()
    _names = tuple(field.data_key or name for name, field in _schema.fields.items())

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> CacheWishes:
        if value == NO_STORE:
            return CacheWishes(no_store=True)
        if not isinstance(value, dict):
            raise ValidationError(f"must be {NO_STORE!r} or an object, not {kind(value)}")
        if unknown := value.keys() - set(self._names):
            known = ", ".join(self._names)
            raise ValidationError(f"has the unknown name {min(unknown)[:40]!r}; known: {known}")
        said = self._schema.load(value)
        return CacheWishes(
            no_store=bool(said.get("no_store") or said.get("no_cache")),
            user_specific=said.get("user_specific"),
            time_sensitive=said.get("time_sensitive"),
            any_temperature=bool(said.get("any_temperature")),
        )

    def json_schema(self) -> dict[str, Any]:
        """See `JsonField.json_schema`."""
        properties = {name: {"type": ["boolean", "null"]} for name in self._names}
        asked = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"type": "string", "const": NO_STORE}, asked, {"type": "null"}]}


def refuses_cache(cache_control: str | None) -> bool:
    """Whether a header Cache-Control says that nothing is to be stored."""
    directives = (cache_control or "").casefold().split(",")
    return any(directive.strip() == NO_STORE for directive in directives)
