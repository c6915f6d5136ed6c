"""The filters and the functions of chat templates, each with a bound on what it costs.

Names and results are those of `transformers.utils.chat_template_utils`: `tojson` without HTML's
escapes, `raise_exception`, `strftime_now`. What no template for text needs and what has no bound is
left out.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import jinja2
from jinja2 import Environment
from jinja2.utils import Cycler, Joiner
from jinja2.utils import Namespace as JinjaNamespace

from workers.engines.chat_template import containers, meter
from workers.engines.chat_template.formatting import percent
from workers.engines.chat_template.traced_text import TracedText

#: HTML and text layout: no chat template has them, and their cost has no bound.
_LEFT_OUT = ("urlize", "xmlattr", "striptags", "pprint", "wordwrap", "forceescape")
#: Filters that take a width, a depth or a count.
_SIZED = frozenset({"batch", "center", "indent", "round", "slice", "tojson", "truncate"})
#: Filters that print a value that is no text.
_PRINTING = frozenset(
    {
        "capitalize",
        "center",
        "e",
        "escape",
        "lower",
        "replace",
        "safe",
        "string",
        "title",
        "tojson",
        "trim",
        "truncate",
        "upper",
        "urlencode",
        "wordcount",
    }
)
#: Widths in the form of a date; glibc fills them up.
_DATE_WIDTH = re.compile(r"%[^A-Za-z%]*\d{3}")
_LONGEST_DATE_FORM = 200


class RefusedByTemplate(Exception):
    """The template said `raise_exception`; the message is its own."""


class Namespace(JinjaNamespace):
    """Jinja's, which does not print what it holds: it may hold itself."""

    def __repr__(self) -> str:
        return "<Namespace>"


def bounded_filters(of_jinja: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Jinja's filters and transformers' own, without those left out; every call is a step."""
    chosen = {name: function for name, function in of_jinja.items() if name not in _LEFT_OUT}
    chosen.update(tojson=_to_json, join=_join, format=_format, sum=_sum)
    return {name: _bounded(name, function) for name, function in chosen.items()}


def bounded_globals() -> dict[str, Any]:
    """What a template may call by name."""
    return {
        "cycler": Cycler,
        "dict": dict,
        "joiner": Joiner,
        "namespace": Namespace,
        "raise_exception": _raise,
        "range": _range,
        "strftime_now": _strftime_now,
    }


def text_of(value: Any) -> str:
    """A value as a template prints it."""
    return str(printable(value))


def printable(value: Any) -> Any:
    """A value that is about to be printed, if that has an end."""
    if not isinstance(value, str | int | float | None):
        containers.weigh(value)
    return value


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose calls are steps, with bounds on widths, and on what it gives."""
    places = 2 if hasattr(function, "jinja_pass_arg") else 1

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        meter.step()
        given = [TracedText(value) if type(value) is str else value for value in args]
        if name in _SIZED:
            for value in (*given[places:], *kwargs.values()):
                meter.require_width(len(value) if isinstance(value, str) else value)
        if name in _PRINTING:
            printable(given[places - 1])
        result = function(*given, **kwargs)
        return TracedText(result) if type(result) is str else containers.counted(result)

    return run


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


@jinja2.pass_environment
def _join(
    environment: Environment, value: Iterable[Any], d: str = "", attribute: Any = None
) -> TracedText:
    if attribute is not None:
        value = (environment.getitem(item, attribute) for item in value)
    return TracedText.join(d if isinstance(d, TracedText) else TracedText(d), map(text_of, value))


def _format(value: str, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("can't handle positional and keyword arguments at the same time")
    return percent(text_of(value), kwargs or args)


@jinja2.pass_environment
def _sum(
    environment: Environment, value: Iterable[Any], attribute: Any = None, start: Any = 0
) -> Any:
    total = start
    for item in value:
        part: Any = item if attribute is None else environment.getitem(item, attribute)
        meter.step()
        lists = isinstance(total, list) and isinstance(part, list)
        total = containers.joined(total, part) if lists else total + part
    return total


def _raise(message: Any) -> NoReturn:
    raise RefusedByTemplate(text_of(message))


def _range(*args: int) -> range:
    numbers = range(*args)
    try:
        meter.step(len(numbers))
    except OverflowError:
        raise meter.TooCostly("it counts further than there are steps") from None
    return numbers


def _strftime_now(form: str) -> str:
    if len(form) > _LONGEST_DATE_FORM or _DATE_WIDTH.search(form):
        raise meter.TooCostly("it asks for a date that is too long")
    return datetime.datetime.now().astimezone().strftime(form)
