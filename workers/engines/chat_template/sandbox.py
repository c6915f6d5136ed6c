"""The Jinja environment of chat templates: transformers' own, with bounds and traced text.

Names and options are those of `transformers.utils.chat_template_utils`: trimmed blocks, loop
controls, `{% generation %}`, `tojson` without HTML's escapes, `raise_exception`, `strftime_now`.
Filters and globals that no template for text needs and that cannot be bounded are left out.
"""

from __future__ import annotations

import datetime
import functools
import json
import operator
import re
import types
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Namespace

from workers.engines.chat_template import containers, meter
from workers.engines.chat_template.formatting import format_fields, percent
from workers.engines.chat_template.traced_text import TracedText, join, own

#: HTML and text layout: no chat template has them, and their cost has no bound.
_LEFT_OUT_FILTERS = ("urlize", "xmlattr", "striptags", "pprint", "wordwrap", "forceescape")
#: Filters that take a width, a depth or a count.
_SIZED_FILTERS = frozenset({"batch", "center", "indent", "round", "slice", "tojson", "truncate"})
#: Methods of strings that make bytes, or tables that other methods obey.
_UNSAFE_OF_TEXT = frozenset({"encode", "translate", "maketrans"})
#: Widths in the form of a date; glibc fills them up.
_DATE_WIDTH = re.compile(r"%[^A-Za-z%]*\d{3}")
_LONGEST_DATE_FORM = 200


class RefusedByTemplate(Exception):
    """The template said `raise_exception`; the message is its own."""


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Compiles the chat template of one model. What it compiles is safe from several threads."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            # Nothing is computed before a meter runs.
            optimized=False,
            extensions=[GenerationBlocks, loopcontrols],
            finalize=_printable,
        )
        self.code_generator_class = _CodeGenerator
        #: Every text that stands in the template, as its own.
        self.literals: dict[str, TracedText] = {}
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        self.filters.update(
            tojson=_to_json, join=_join_filter, format=_format_filter, sum=_sum_filter
        )
        for name, function in list(self.filters.items()):
            self.filters[name] = _bounded(name, function)
        self.globals = {
            "cycler": Cycler,
            "dict": dict,
            "joiner": self.globals["joiner"],
            "namespace": _Namespace,
            "raise_exception": _raise,
            "range": _range,
            "strftime_now": _strftime_now,
        }

    #: Joins what a template puts out; jinja's own would forget who wrote it.
    concat = staticmethod(join)  # type: ignore[assignment]
    #: These are called by what is compiled.
    weighed = staticmethod(containers.checked)
    step = staticmethod(meter.step)

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        """Let every turn of a loop and every call of a macro be a step."""
        counted: tuple[Any, ...] = (nodes.For, nodes.Macro, nodes.CallBlock)
        for statement in source.find_all(counted):
            # The name is written out as it stands: a call without the sandbox's cost.
            statement.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("step()")))
        return super()._generate(source, *arguments, **options)

    def concatenate(self, values: Iterable[Any]) -> TracedText:
        """What `~` gives."""
        return join(map(_text, values))

    def part(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """What a slice gives."""
        if type(value) is str:
            value = TracedText(value)
        return containers.counted(value[start:stop:step])

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Call a function, method or macro."""
        meter.step()
        if any(function is maker for maker in (dict, Cycler, _Namespace)):
            containers.weigh([args, kwargs])
        return containers.counted(super().call(context, function, *args, **kwargs))

    def call_binop(self, context: Context, operator_name: str, left: Any, right: Any) -> Any:
        """Compute what could become too large."""
        if operator_name == "+" and isinstance(left, list) and isinstance(right, list):
            return containers.joined(left, right)
        if operator_name == "*":
            return _times(left, right)
        if operator_name == "%" and isinstance(left, str):
            return percent(left, right)
        if operator_name == "**":
            bits = left.bit_length() if isinstance(left, int) else 64
            if not isinstance(right, int | float) or abs(right) * max(1, bits) > meter.MOST_BITS:
                raise meter.TooCostly("it computes a power that is too large")
        return super().call_binop(context, operator_name, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, else an item."""
        if isinstance(obj, int | float | bytes):
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(TracedText(obj) if type(obj) is str else obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item, else an attribute."""
        if isinstance(obj, int | float | bytes):
            return self.undefined(obj=obj, name=argument)
        return super().getitem(TracedText(obj) if type(obj) is str else obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have this attribute."""
        if isinstance(obj, str) and attr in _UNSAFE_OF_TEXT:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The methods `format` and `format_map` of strings, bounded and traced."""
        is_method = isinstance(value, types.MethodType | types.BuiltinMethodType)
        if not is_method or value.__name__ not in ("format", "format_map"):
            return None
        text = value.__self__
        if not isinstance(text, str):
            return None
        if value.__name__ == "format_map":
            return lambda mapping: format_fields(self, text, (), mapping)
        return lambda *args, **kwargs: format_fields(self, text, args, kwargs)


class _CodeGenerator(CodeGenerator):
    """Writes texts of the template as its own, and lists so that they are weighed."""

    environment: TemplateEnvironment

    def _literal(self, text: str) -> str:
        self.environment.literals.setdefault(text, own(text))
        return f"environment.literals[{text!r}]"

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        return self._literal("".join(group))

    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible  # nothing is computed before a meter runs
        return super()._output_child_to_const(node, frame, finalize)

    def visit_Const(self, node: nodes.Const, frame: Any) -> None:
        """A number, a text, or one of the constants by name."""
        if isinstance(node.value, str):
            self.write(self._literal(node.value))
        else:
            super().visit_Const(node, frame)

    def visit_TemplateData(self, node: nodes.TemplateData, frame: Any) -> None:
        """Text between tags."""
        self.write(self._literal(node.data))

    def visit_Concat(self, node: nodes.Concat, frame: Any) -> None:
        """Texts joined by `~`."""
        self.write("environment.concatenate((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Any) -> None:
        """An item, or a slice."""
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.part(")
        self.visit(node.node, frame)
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            self.visit(bound or nodes.Const(None), frame)
        self.write(")")

    def _weighed(self, visit: Callable[[Any, Any], None], node: nodes.Expr, frame: Any) -> None:
        self.write("environment.weighed(")
        visit(node, frame)
        self.write(")")

    def visit_List(self, node: nodes.List, frame: Any) -> None:
        """A list."""
        self._weighed(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Any) -> None:
        """A dict."""
        self._weighed(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Any) -> None:
        """A tuple, or the names that one is taken apart into."""
        if node.ctx == "load":
            self._weighed(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)


class GenerationBlocks(Extension):
    """`{% generation %}`: where transformers notes what the assistant said; here it is its body."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own form

    def parse(self, parser: Parser) -> nodes.Node:
        """The body, in a scope of its own as transformers has it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class _Namespace(Namespace):
    """Jinja's, which does not print what it holds: it may hold itself."""

    def __repr__(self) -> str:
        return "<Namespace>"


def _text(value: Any) -> str:
    """A value as a template prints it."""
    return str(_printable(value))


def _printable(value: Any) -> Any:
    """A value that is about to be printed, if that has an end."""
    if not isinstance(value, str | int | float | None):
        containers.weigh(value)
    return value


def _times(left: Any, right: Any) -> Any:
    for items, times in ((left, right), (right, left)):
        if isinstance(items, list | tuple) and isinstance(times, int):
            return containers.repeated(items, times)
        if type(items) is str and isinstance(times, int):
            return TracedText(items) * times
    are_whole = isinstance(left, int) and isinstance(right, int)
    if are_whole and left.bit_length() + right.bit_length() > meter.MOST_BITS:
        raise meter.TooCostly("it computes a number that is too large")
    return operator.mul(left, right)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose calls are steps, with bounds on widths, and on what it gives."""
    places = 2 if hasattr(function, "jinja_pass_arg") else 1

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        meter.step()
        given = [TracedText(value) if type(value) is str else value for value in args]
        if name in _SIZED_FILTERS:
            for value in (*given[places:], *kwargs.values()):
                meter.require_width(len(value) if isinstance(value, str) else value)
        if name in _PRINTING_FILTERS:
            _printable(given[places - 1])
        result = function(*given, **kwargs)
        return TracedText(result) if type(result) is str else containers.counted(result)

    return run


#: Filters that print a value that is no text.
_PRINTING_FILTERS = frozenset(
    {"capitalize", "center", "e", "escape", "lower", "replace", "safe", "string", "title", "tojson",
     "trim", "truncate", "upper", "urlencode", "wordcount"}
)  # fmt: skip


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
def _join_filter(
    environment: TemplateEnvironment, value: Iterable[Any], d: str = "", attribute: Any = None
) -> TracedText:
    if attribute is not None:
        value = (environment.getitem(item, attribute) for item in value)
    return TracedText.join(d if isinstance(d, TracedText) else TracedText(d), map(_text, value))


def _format_filter(value: str, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("can't handle positional and keyword arguments at the same time")
    return percent(_text(value), kwargs or args)


def _raise(message: Any) -> NoReturn:
    raise RefusedByTemplate(_text(message))


def _range(*args: int) -> range:
    numbers = range(*args)
    try:
        meter.step(len(numbers))
    except OverflowError:
        raise meter.TooCostly("it counts further than there are steps") from None
    return numbers


@jinja2.pass_environment
def _sum_filter(
    environment: TemplateEnvironment, value: Iterable[Any], attribute: Any = None, start: Any = 0
) -> Any:
    total = start
    for item in value:
        part = item if attribute is None else environment.getitem(item, attribute)
        meter.step()
        lists = isinstance(total, list) and isinstance(part, list)
        total = containers.joined(total, part) if lists else total + part
    return total


def _strftime_now(form: str) -> str:
    if len(form) > _LONGEST_DATE_FORM or _DATE_WIDTH.search(form):
        raise meter.TooCostly("it asks for a date that is too long")
    return datetime.datetime.now().astimezone().strftime(form)
