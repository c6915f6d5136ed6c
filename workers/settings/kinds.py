"""Kinds of setting: each turns the text of a variable into a value, or says what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How one variable's text is read.

    `parse` raises ValueError where the text is not one of the `allowed` values.
    """

    parse: Callable[[str], T]
    #: Completes the sentence "allowed: ...".
    allowed: str


def integer(least: int, most: int) -> Kind[int]:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return Kind(parse, f"a whole number from {least} to {most}")


def number(least: float, most: float) -> Kind[float]:
    """A number within bounds, both included."""

    def parse(text: str) -> float:
        value = float(text)
        if not least <= value <= most:  # NaN fails this too
            raise ValueError
        return value

    return Kind(parse, f"a number from {least:g} to {most:g}")


def choice(*values: str) -> Kind[str]:
    """One of a few words, in any case."""
    by_lower = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        try:
            return by_lower[text.lower()]
        except KeyError:
            raise ValueError from None

    return Kind(parse, ", ".join(values))


def names() -> Kind[tuple[str, ...]]:
    """Names with commas between them."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(","))
        if not all(found) or len(set(found)) != len(found):
            raise ValueError
        return found

    return Kind(parse, "names with commas between them, none empty or twice")


def role_table() -> Kind[dict[str, tuple[str, ...]]]:
    """JSON: model ids to lists of roles."""

    def parse(text: str) -> dict[str, tuple[str, ...]]:
        table = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError
        for roles in table.values():
            if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
                raise ValueError
        return {model: tuple(roles) for model, roles in table.items()}

    return Kind(parse, 'JSON such as {"phi-4": ["primary", "thinker"]}')


def url(*schemes: str) -> Kind[str]:
    """An absolute address of one of these schemes."""

    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError
        return text

    return Kind(parse, "an address that begins with " + " or ".join(f"{s}://" for s in schemes))


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    try:
        return words[text.lower()]
    except KeyError:
        raise ValueError from None


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


BOOLEAN: Kind[bool] = Kind(_boolean, "true or false")
PATH: Kind[Path] = Kind(_path, "a path")
TEXT: Kind[str] = Kind(str, "any text")


def mask(value: Any) -> str:
    """What is shown of a secret: that it is set, and of an address all but the password."""
    parts = urlsplit(str(value))
    if parts.password:
        return str(value).replace(f":{parts.password}@", ":***@")
    return str(value) if parts.scheme else "***"
