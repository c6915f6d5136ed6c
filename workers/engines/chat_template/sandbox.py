"""The Jinja environment of chat templates: transformers' own, with bounds and traced text.

Options are those of `transformers.utils.chat_template_utils`: trimmed blocks, loop controls,
`{% generation %}`. `functions` has the filters and the functions that a template may call.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import nodes
from jinja2.ext import loopcontrols
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler

from workers.engines.chat_template import containers, functions, meter
from workers.engines.chat_template.code_generator import GenerationBlocks, TracingCodeGenerator
from workers.engines.chat_template.formatting import format_fields, percent
from workers.engines.chat_template.traced_text import TracedText, join

#: Methods of strings that make bytes, or tables that other methods obey.
_UNSAFE_OF_TEXT = frozenset({"encode", "translate", "maketrans"})


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
            finalize=functions.printable,
        )
        self.code_generator_class = TracingCodeGenerator
        #: Every text that stands in the template, as its own.
        self.literals: dict[str, TracedText] = {}
        self.filters = functions.bounded_filters(self.filters)
        self.globals = functions.bounded_globals()

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
        return join(map(functions.text_of, values))

    def part(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """What a slice gives."""
        if type(value) is str:
            value = TracedText(value)
        return containers.counted(value[start:stop:step])

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Call a function, method or macro."""
        meter.step()
        if any(function is maker for maker in (dict, Cycler, functions.Namespace)):
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
