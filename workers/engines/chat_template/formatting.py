"""`%` and `str.format` in a template: bounded widths, and known who wrote what."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter

from workers.engines.chat_template import containers, meter
from workers.engines.chat_template.traced_text import TracedText, join

#: A conversion of `%`: its name, flags and widths, and what it converts to.
_CONVERSION = re.compile(
    r"%(?:\((?P<name>[^()]*)\))?(?P<widths>[#0\- +*.\d]*)[hlL]?(?P<kind>.)?", re.DOTALL
)
#: Widths of four digits suffice for anything; `*` takes one from the arguments.
_WIDE = re.compile(r"\*|\d{5}")


def percent(text: str, arguments: Any) -> TracedText:
    """What `text % arguments` gives.

    Raises:
        meter.TooCostly: a width is too large.
        TypeError, ValueError, LookupError: as `%` itself does.
    """
    source = text if isinstance(text, TracedText) else TracedText(text)
    values = iter(arguments if isinstance(arguments, tuple) else (arguments,))
    pieces: list[str] = []
    end = 0
    for match in _CONVERSION.finditer(str(source)):
        pieces.append(source[end : match.start()])
        end = match.end()
        if _WIDE.search(match["widths"]):
            raise meter.TooCostly("it formats with a width that is too large")
        if match["kind"] == "%":
            pieces.append(source[match.end() - 1 : match.end()])
            continue
        value = arguments[match["name"]] if match["name"] is not None else _next(values)
        containers.weigh(value)
        if match["kind"] == "s" and not match["widths"] and isinstance(value, str):
            pieces.append(value)
        else:
            pieces.append(f"%{match['widths']}{match['kind'] or ''}" % (value,))
    if next(values, None) is not None and isinstance(arguments, tuple):
        raise TypeError("not all arguments converted during string formatting")
    return join([*pieces, source[end:]])


def _next(values: Any) -> Any:
    try:
        return next(values)
    except StopIteration:
        raise TypeError("not enough arguments for format string") from None


def format_fields(
    environment: SandboxedEnvironment,
    text: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> TracedText:
    """What `text.format(*args, **kwargs)` gives, attributes looked up as the sandbox lets it.

    Raises:
        meter.TooCostly: a width is too large.
        TypeError, ValueError, LookupError: as `format` itself does.
    """
    source = text if isinstance(text, TracedText) else TracedText(text)
    formatter = SandboxedFormatter(environment)
    pieces: list[str] = []
    place, end = 0, 0
    for literal, field, form, conversion in string.Formatter().parse(str(source)):
        # Of a doubled brace the parser gives the first, so its text stands in the source as it is.
        begin, end = end, end + len(literal)
        pieces.append(source[begin:end])
        if field is None:
            end += 1 if literal.endswith(("{", "}")) else 0
            continue
        if field == "" or field[0] in ".[":
            field, place = f"{place}{field}", place + 1
        form = form or ""
        if "{" in form or _WIDE.search(form):
            raise meter.TooCostly("it formats with a width that is too large")
        value = formatter.convert_field(formatter.get_field(field, args, kwargs)[0], conversion)
        containers.weigh(value)
        if not form and isinstance(value, str):
            pieces.append(value)
        else:
            pieces.append(format(value, form))
        end = source.find("}", end) + 1
    return join(pieces)
