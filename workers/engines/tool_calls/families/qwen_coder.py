"""Qwen3-Coder: tags for the function and for each parameter, values without quotes.

    <tool_call>
    <function=get_weather>
    <parameter=city>
    Paris
    </parameter>
    </function>
    </tool_call>

The schema says what is text and what is a number. Described by the chat template and the parser at
https://huggingface.co/Qwen/Qwen3-Coder-30B-A3B-Instruct. The form has no escape: text cannot hold
`</parameter>`. By the grammar text is one of its enum's, or any: its length, a pattern and a format
are not held to.
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
from workers.engines.tool_calls.registry import register
from workers.engines.tool_calls.xml_reader import END, FUNCTION, PARAMETER, PARAMETER_END, XmlReader

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_FORM = Form(opens=(_OPEN, FUNCTION), closes=(_CLOSE,))
_VALUE_END = f"\n{PARAMETER_END}\n"


class QwenCoder:
    """See `base.Family`."""

    name = "qwen3-coder"
    marks = (_OPEN, _CLOSE)
    grammar_covers_thought = False

    def recognises(self, template: str) -> bool:
        """See `base.Family`."""
        return FUNCTION in template and PARAMETER in template

    def parser(self, tools: Tools, id_prefix: str) -> CallParser:
        """See `base.Family`."""
        writer = CallWriter(tools, id_prefix)
        return FormParser(_FORM, writer, lambda writer, mark, _: XmlReader(writer, mark))

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = _rules(tools, token_of)
        rules.add("start", f"{rules.text(_OPEN)} after_mark")
        return str(rules)

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = _rules(tools, token_of)
        rest = "after_mark" if opened == _OPEN else "after_function"
        rules.add("start", f"{rules.said(opened)} {rest}")
        return str(rules)

    def write(self, calls: Sequence[WrittenCall]) -> str:
        """See `base.Family`."""
        return "\n".join(_written(call) for call in calls)


def _written(call: WrittenCall) -> str:
    lines = [_OPEN, f"{FUNCTION}{call.name}>"]
    for name, value in json.loads(call.arguments).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines += [f"{PARAMETER}{name}>", text, PARAMETER_END]
    return "\n".join([*lines, END, _CLOSE])


def _rules(tools: Tools, token_of: TokenOf) -> LarkRules:
    rules = LarkRules((_OPEN, _CLOSE), token_of)
    rules.add("text[lazy]", f"/(?s:.*)/ {lark.literal(_VALUE_END)}")
    rules.add("any_parameter", f'"{PARAMETER}" /[^<>\\n]{{1,64}}/ ">\\n" text')
    functions = [
        f"{lark.literal(f'{tool.name}>')} SPACE {_parameters(rules, index, tool)}"
        for index, tool in enumerate(tools.callable)
    ]
    rules.add("function", *functions)
    again = rules.further(f'SPACE {rules.text(_OPEN)} SPACE "{FUNCTION}" call', tools)
    rules.add("call", f'function "{END}" SPACE {rules.text(_CLOSE)}')
    rules.add("after_function", f"call {again}")
    rules.add("after_mark", f'SPACE "{FUNCTION}" after_function')
    return rules


def _parameters(rules: LarkRules, index: int, tool: Tool) -> str:
    """The parameters of a tool, in the order of its schema."""
    schema = schema_of(tool)
    properties = properties_of(schema)
    if not properties:
        return "" if schema.get("additionalProperties") is False else "any_parameter*"
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    parts = []
    for place, (name, value) in enumerate(properties.items()):
        tag = lark.literal(f"{PARAMETER}{name}>\n")
        rule = rules.add(f"parameter_{index}_{place}", f"{tag} {_value(rules, value, tool)}")
        parts.append(rule if name in names else f"{rule}?")
    return " ".join(parts)


def _value(rules: LarkRules, schema: Any, tool: Tool) -> str:
    """A value, and the tag that ends it."""
    types = types_of(schema, tool.parameters)
    if types and "string" not in types:
        return f"{rules.argument(schema, tool)} {lark.literal(_VALUE_END)}"
    values = schema.get("enum") if isinstance(schema, dict) else None
    if isinstance(schema, dict) and "const" in schema:
        values = [schema["const"]]
    if isinstance(values, list) and values:
        texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
        return f"({' | '.join(map(lark.literal, texts))}) {lark.literal(_VALUE_END)}"
    return "text"


register(QwenCoder())
