"""A grammar of calls in llguidance's Lark, rule by rule."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workers.constraints import lark
from workers.contract.tools import Tool, Tools
from workers.engines.tool_calls.base import TokenOf

#: White space between the parts of a call. What models write is one space or one line break.
_SPACE = r"/[ \t\n\r]{0,8}/"
#: Where schemas keep what several arguments refer to.
_DEFINITIONS = ("$defs", "definitions")
#: Characters of the schemas of single arguments. Each has a copy of all definitions.
_MOST_ARGUMENT_CHARACTERS = 1_000_000
_NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}


class LarkRules:
    """Gathers the rules; `str` of it is the grammar."""

    def __init__(self, marks: Sequence[str], token_of: TokenOf) -> None:
        """`marks`: those texts of the family that are tokens of their own in some vocabularies."""
        self._token_of = token_of
        self._rules = {"SPACE": _SPACE}
        self._special = {mark: token for mark in marks if (token := token_of(mark)) is not None}
        self._argument_characters_left = _MOST_ARGUMENT_CHARACTERS
        longest = sorted(self._special, key=len, reverse=True)
        self._cut = re.compile(f"({'|'.join(map(re.escape, longest))})") if longest else None

    def add(self, name: str, *alternatives: str) -> str:
        """A rule; gives its name back."""
        self._rules[name] = " | ".join(alternatives)
        return name

    def text(self, text: str) -> str:
        """A text, the marks in it as the vocabulary has them."""
        parts = self._cut.split(text) if self._cut else [text]
        return " ".join(
            f"<[{self._special[part]}]>" if part in self._special else lark.literal(part)
            for part in parts
            if part
        )

    def said(self, text: str) -> str:
        """What opened the calls, as it is in the tokens that hold it: see `Family.grammar_after`.

        A model may spell a mark in plain tokens, too.
        """
        self.add("spelled[lazy]", f"/(?s:.*)/ {lark.literal(text)}")
        if self._cut is None or not self._cut.match(text):
            return "spelled"
        return self.add("said", "spelled", self.text(text))

    def arguments(self, index: int, tool: Tool) -> str:
        """The JSON object of a tool's arguments."""
        value = lark.json_value(schema_of(tool), lenient=not tool.strict)
        return self.add(f"arguments_{index}", value)

    def argument(self, schema: Any, tool: Tool) -> str:
        """One argument by itself, as JSON by its schema.

        What its schema refers to is written with it. Where that is too much, it is any JSON.
        """
        own = schema if isinstance(schema, Mapping) else {}
        if "$ref" in json.dumps(own):
            root = schema_of(tool)
            own = {**{name: root[name] for name in _DEFINITIONS if name in root}, **own}
        value = lark.json_value(own, lenient=not tool.strict)
        self._argument_characters_left -= len(value)
        return value if self._argument_characters_left >= 0 else lark.json_value({})

    @staticmethod
    def further(call: str, tools: Tools) -> str:
        """More calls, where an answer may have several."""
        return f"({call})*" if tools.parallel else ""

    def __str__(self) -> str:
        rules = "\n".join(f"{name}: {body}" for name, body in self._rules.items())
        return f"%llguidance {{}}\n{rules}\n"


def schema_of(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments, which are an object whatever it says of its type.

    Where it names arguments there are no others, unless it says so: a function knows what it takes,
    and a small model would invent one after the other.
    """
    if tool.parameters is None:
        return dict(_NO_ARGUMENTS)
    schema = dict(tool.parameters)
    if not any(name in schema for name in ("$ref", "anyOf", "oneOf", "allOf", "enum", "const")):
        schema["type"] = "object"
        if "properties" in schema and "patternProperties" not in schema:
            schema.setdefault("additionalProperties", False)
    return schema


def json_literal(text: str) -> str:
    """A text as a JSON string, in Lark."""
    return lark.literal(json.dumps(text, ensure_ascii=False))
