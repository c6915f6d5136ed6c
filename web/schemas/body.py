"""Request bodies: bytes to a JSON object that nothing downstream can choke on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import flask

from web.schemas.bounds import Bounds, check, of_view
from web.schemas.refusals import excerpt, header_safe
from workers.contract.errors import MalformedJSON, UnsupportedMediaType, ValidationFailed

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_object() -> dict[str, Any]:
    """The body of the present request, within the bounds that its view declares.

    Raises:
        UnsupportedMediaType: it says that it is something else than JSON, or compressed.
        InferenceError: as `parse_object`.
    """
    if flask.request.content_type and not flask.request.is_json:
        raise UnsupportedMediaType(details={"content_type": excerpt(flask.request.content_type)})
    encoding = flask.request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":  # a few compressed bytes may stand for gigabytes
        raise UnsupportedMediaType(
            "The body is compressed; send it without Content-Encoding.",
            details={"content_encoding": excerpt(encoding)},
        )
    view = flask.current_app.view_functions.get(flask.request.endpoint or "")
    return parse_object(flask.request.get_data(cache=False), of_view(view))


def parse_object(raw: bytes, bounds: Bounds) -> dict[str, Any]:
    """The JSON object in these bytes; errors name the parameter that holds the fault.

    Raises:
        PayloadTooLarge: it has too many values, or too long a string.
        MalformedJSON: it is no JSON, nested too deeply, or names a member twice.
        ValidationFailed: it is JSON, but no object, or holds what is no number or no Unicode.
    """
    check(raw, bounds)
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_constant=_Constant, object_pairs_hook=_members
        )
    except ValueError as error:
        raise MalformedJSON(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValidationFailed("The body must be a JSON object.", details={"param": None})
    check_text = bool(_ESCAPED_SURROGATE.search(raw))
    for name, item in value.items():
        if check_text:
            _require_unicode(name, "")
        _require_sane(item, param=header_safe(name), check_text=check_text)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members. A name that stands twice means something else to every reader."""
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = _first_repeated(name for name, _ in pairs)
        raise MalformedJSON(
            f"{header_safe(twice)!r} stands twice in one object.",
            details={"param": header_safe(twice)},
        )
    return members


def _first_repeated(names: Iterable[str]) -> str:
    """The first name that came before; one pass, for there may be as many as the bounds allow."""
    before: set[str] = set()
    for name in names:
        if name in before:
            return name
        before.add(name)
    raise LookupError("no name stands twice")


class _Constant(str):
    """`NaN`, `Infinity` or `-Infinity`, which Python's parser takes and JSON does not know."""


def _require_sane(value: Any, *, param: str, check_text: bool) -> None:
    """Walk level by level, so that depth costs no recursion; `check` has bounded it."""
    level = [value]
    while level:
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
        level = below


def _require_unicode(text: str, param: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValidationFailed(
            f"{param or 'A name'} holds half of a surrogate pair, which is no Unicode text.",
            details={"param": param or None},
        ) from None
