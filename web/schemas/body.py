"""Request bodies: bytes to a JSON object that nothing downstream can choke on."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import flask

from workers.contract.errors import MalformedJSON, UnsupportedMediaType, ValidationFailed

#: Deeper nesting means a mistake or an attack; tool-call histories stay below ten.
DEEPEST = 64
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_object() -> dict[str, Any]:
    """The body of the present request.

    Raises:
        UnsupportedMediaType: it says that it is something else than JSON.
        MalformedJSON: it is no JSON, or nested too deeply.
        ValidationFailed: it is JSON, but no object, or holds text that is no Unicode.
    """
    if flask.request.content_type and not flask.request.is_json:
        raise UnsupportedMediaType(details={"content_type": flask.request.content_type})
    raw = flask.request.get_data(cache=False)
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedJSON(f"The body is nested deeper than {DEEPEST} levels.") from None
    except ValueError as error:
        raise MalformedJSON(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValidationFailed("The body must be a JSON object.", details={"param": None})
    _require_sane(value, check_text=bool(_ESCAPED_SURROGATE.search(raw)))
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _require_sane(value: Any, *, check_text: bool) -> None:
    """Walk level by level, so that depth costs no recursion."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            children = item.values() if isinstance(item, dict) else item
            for child in children:
                if isinstance(child, dict | list):
                    below.append(child)
                elif check_text and isinstance(child, str):
                    _require_unicode(child)
            if check_text and isinstance(item, dict):
                for name in item:
                    _require_unicode(name)
        if not below:
            return
        level = below
    raise MalformedJSON(f"The body is nested deeper than {DEEPEST} levels.")


def _require_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValidationFailed(
            "The body holds half of a surrogate pair, which is no Unicode text.",
            details={"param": None},
        ) from None
