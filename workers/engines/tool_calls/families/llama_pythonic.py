"""Llama 3.2 and 4: a list of calls as in Python.

    [get_weather(city="Paris", days=3), now()]

Llama 4 puts it between `<|python_start|>` and `<|python_end|>` at times. Described at
https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_2/ (zero-shot function calling). By
the grammar an argument is JSON, which Python reads alike but for `True`, `False` and `None`: they
may be a whole argument.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workers.constraints import lark
from workers.contract.tools import Tool, Tools
from workers.engines.tool_calls.argument_types import properties_of, types_of
from workers.engines.tool_calls.base import CallParser, TokenOf, WrittenCall
from workers.engines.tool_calls.call_writer import CallWriter
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.lark_rules import LarkRules, schema_of
from workers.engines.tool_calls.parser import FormParser
from workers.engines.tool_calls.python_reader import PythonReader
from workers.engines.tool_calls.registry import register

_START, _END = "<|python_start|>", "<|python_end|>"
_FORM = Form(opens=(_START,), bare="[", closes=(_END,), in_list=True)


class LlamaPythonic:
    """See `base.Family`."""

    name = "llama-pythonic"
    marks = (_START, _END)
    grammar_covers_thought = False

    def recognises(self, template: str) -> bool:
        """See `base.Family`."""
        return "func_name1(" in template or _START in template

    def parser(self, tools: Tools, id_prefix: str) -> CallParser:
        """See `base.Family`."""
        return FormParser(_FORM, CallWriter(tools, id_prefix), PythonReader.of)

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = _rules(tools, token_of)
        rules.add("start", '"[" calls')
        return str(rules)

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = _rules(tools, token_of)
        if opened == _START:
            rest = f'SPACE "[" calls {rules.text(_END)}'
        else:
            name = opened[opened.index("[") + 1 :].rstrip("( \t\r\n").strip()
            index = next(i for i, tool in enumerate(tools.callable) if tool.name == name)
            rest = f"call_{index} more"
        rules.add("start", f"{rules.said(opened)} {rest}")
        return str(rules)

    def write(self, calls: Sequence[WrittenCall]) -> str:
        """See `base.Family`."""
        return f"[{', '.join(map(_written, calls))}]"


def _written(call: WrittenCall) -> str:
    arguments = json.loads(call.arguments)
    return f"{call.name}({', '.join(f'{name}={_python(arguments[name])}' for name in arguments)})"


def _python(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}: {_python(item)}" for key, item in value.items())
        return f"{{{', '.join(members)}}}"
    return json.dumps(value, ensure_ascii=False)


def _rules(tools: Tools, token_of: TokenOf) -> LarkRules:
    rules = LarkRules((_START, _END), token_of)
    calls = []
    for index, tool in enumerate(tools.callable):
        rules.add(f"call_{index}", f'SPACE {_arguments(rules, index, tool)} SPACE ")"')
        calls.append(f"{lark.literal(f'{tool.name}(')} call_{index}")
    rules.add("call", *calls)
    further = rules.further('SPACE "," SPACE call', tools)
    rules.add("more", f'{further} SPACE "]"')
    rules.add("calls", "SPACE call more")
    return rules


def _arguments(rules: LarkRules, index: int, tool: Tool) -> str:
    """The arguments of a tool, in the order of its schema."""
    schema = schema_of(tool)
    properties = properties_of(schema)
    if not properties:
        if schema.get("additionalProperties") is False:
            return ""
        rules.add("any_value", lark.json_value({}))
        rules.add("any_argument", '/[A-Za-z_][A-Za-z_0-9]{0,63}/ "=" any_value')
        return '(any_argument (SPACE "," SPACE any_argument)*)?'
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    # From the last one to the first: what may follow when none was said yet, and when some were.
    first, later = f"first_{index}_{len(properties)}", f"later_{index}_{len(properties)}"
    rules.add(first, '""')
    rules.add(later, '""')
    for place, (name, value) in reversed(list(enumerate(properties.items()))):
        rule = rules.add(
            f"argument_{index}_{place}", f"{lark.literal(f'{name}=')} {_value(rules, value, tool)}"
        )
        may_lack = name not in needed
        next_first, next_later = f"first_{index}_{place}", f"later_{index}_{place}"
        rules.add(next_first, f"{rule} {later}", *([first] if may_lack else []))
        rules.add(next_later, f'SPACE "," SPACE {rule} {later}', *([later] if may_lack else []))
        first, later = next_first, next_later
    return first


def _value(rules: LarkRules, schema: Any, tool: Tool) -> str:
    types = types_of(schema, tool.parameters)
    value = rules.argument(schema, tool)
    words = [*(['"True"', '"False"'] if types == {"boolean"} else [])]
    words += ['"None"'] if "null" in types else []
    return f"({' | '.join([value, *words])})"


register(LlamaPythonic())
