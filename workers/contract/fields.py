"""Fields of JSON objects: what is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
