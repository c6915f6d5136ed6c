"""Fields of JSON objects: what is not known is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def known_fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the data that are fields of the class: a newer version may have written more."""
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in data.items() if name in names}
