"""Request bodies: bytes to a JSON object that nothing downstream can choke on."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import flask

from web.schemas.parameters import shown
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
    return parse_object(flask.request.get_data(cache=False))


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; errors name the parameter that holds the fault.

    Raises:
        MalformedJSON: it is no JSON, or nested too deeply.
        ValidationFailed: it is JSON, but no object, or holds what is no number or no Unicode.
    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_Constant)
    except RecursionError:
        raise MalformedJSON(f"The body is nested deeper than {DEEPEST} levels.") from None
    except ValueError as error:
        raise MalformedJSON(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValidationFailed("The body must be a JSON object.", details={"param": None})
    check_text = bool(_ESCAPED_SURROGATE.search(raw))
    for name, item in value.items():
        if check_text:
            _require_unicode(name, "")
        _require_sane(item, param=shown(name), check_text=check_text)
    return value


class _Constant(str):
    """`NaN`, `Infinity` or `-Infinity`, which Python's parser takes and JSON does not know."""


def _require_sane(value: Any, *, param: str, check_text: bool) -> None:
    """Walk level by level, so that depth costs no recursion."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                if check_text:
                    below.extend(item)
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, _Constant):
                raise MalformedJSON(f"{param}: {item} is no JSON.", details={"param": param})
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValidationFailed(
                    f"{param} holds a number that is too large.", details={"param": param}
                )
            elif check_text and isinstance(item, str):
                _require_unicode(item, param)
        if not below:
            return
        level = below
    raise MalformedJSON(
        f"{param} is nested deeper than {DEEPEST} levels.", details={"param": param}
    )


def _require_unicode(text: str, param: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValidationFailed(
            f"{param or 'A name'} holds half of a surrogate pair, which is no Unicode text.",
            details={"param": param or None},
        ) from None
