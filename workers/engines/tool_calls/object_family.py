"""Families whose calls are JSON objects: `{"name": ..., "arguments": {...}}`, with marks around."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workers.contract.tools import Tools
from workers.engines.tool_calls.base import CallParser, TokenOf, WrittenCall
from workers.engines.tool_calls.call_writer import CallWriter, openai_id
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.lark_rules import LarkRules, json_literal
from workers.engines.tool_calls.object_reader import ObjectReader
from workers.engines.tool_calls.parser import FormParser
from workers.engines.tool_calls.reader import Reader

#: The name at the end of what opened a call without a mark.
_LAST_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"\Z')


@dataclass(frozen=True)
class ObjectFamily:
    """See `base.Family`."""

    name: str
    #: What stands before the calls: before each one, or before the list of all. Empty: nothing.
    open: str
    #: What stands after them.
    close: str
    recognise: Callable[[str], bool]
    #: The calls stand in one list, or each has its own marks.
    is_list: bool
    #: Between two calls that have no marks and are in no list.
    separator: str = "\n"
    #: The member of the arguments.
    arguments: str = "arguments"
    #: What is read: at least what is written.
    form: Form = field(default_factory=Form)
    reader: Callable[[CallWriter, str, bool], Reader] = ObjectReader.of
    make_id: Callable[[str, int], str] = openai_id
    grammar_covers_thought: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """See `base.Family`."""
        return tuple(dict.fromkeys((*self.form.opens, *self.form.closes)))

    def recognises(self, template: str) -> bool:
        """See `base.Family`."""
        return self.recognise(template)

    def parser(self, tools: Tools, id_prefix: str) -> CallParser:
        """See `base.Family`."""
        writer = CallWriter(tools, id_prefix, self.make_id)
        return FormParser(self.form, writer, self.reader)

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = LarkRules(self.marks, token_of)
        self._add_calls(rules, tools)
        start = f"{rules.text(self.open)} {_after(self.open)}" if self.open else "calls"
        rules.add("start", start)
        return str(rules)

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = LarkRules(self.marks, token_of)
        self._add_calls(rules, tools)
        said = rules.said(opened)
        rules.add("start", f"{said} {self._rest(rules, opened, tools)}")
        return str(rules)

    def _add_calls(self, rules: LarkRules, tools: Tools) -> None:
        members = []
        for index, tool in enumerate(tools.callable):
            arguments = rules.arguments(index, tool)
            members.append(f"{json_literal(tool.name)} {self._member} {arguments}")
        rules.add("members", *members)
        rules.add("call", '"{" SPACE "\\"name\\"" SPACE ":" SPACE members SPACE "}"')
        close = f"SPACE {rules.text(self.close)}" if self.close else ""
        in_list = rules.further('SPACE "," SPACE call', tools)
        rules.add("list_end", f'{in_list} SPACE "]"')
        if self.is_list:
            rules.add("in_list", "SPACE call list_end")
            rules.add("calls", "call", '"[" in_list')
            rules.add("after_bracket", f"in_list {close}")
            rules.add("after_mark", 'SPACE "[" after_bracket')
        elif self.close:
            again = f"SPACE {rules.text(self.open)} SPACE call {close}"
            rules.add("after_mark", f"SPACE call {close} {rules.further(again, tools)}")
        else:
            again = f"{rules.text(self.separator)} SPACE call"
            rules.add("calls", f"call {rules.further(again, tools)}")
            rules.add("after_mark", "SPACE calls")

    @property
    def _member(self) -> str:
        return f'SPACE "," SPACE {json_literal(self.arguments)} SPACE ":" SPACE'

    def _rest(self, rules: LarkRules, opened: str, tools: Tools) -> str:
        """What follows a mark, or a call's name where no mark stands before it."""
        if opened in self.form.opens:
            return _after(opened)
        found = _LAST_NAME.search(opened)
        name = json.loads(found[0]) if found else ""
        index = next(i for i, tool in enumerate(tools.callable) if tool.name == name)
        rest = f'{self._member} arguments_{index} SPACE "}}"'
        fence = next((fence for fence in self.form.fences if opened.startswith(fence)), "")
        if opened.removeprefix(fence).lstrip().startswith("["):
            rest += " list_end"
        elif not self.is_list and not fence:
            rest += " " + rules.further(f"{rules.text(self.separator)} SPACE call", tools)
        return rest + (' SPACE "```"' if fence else "")

    def write(self, calls: Sequence[WrittenCall]) -> str:
        """See `base.Family`."""
        objects = [
            f'{{"name": {json.dumps(call.name)}, "{self.arguments}": {call.arguments}}}'
            for call in calls
        ]
        if self.is_list:
            listed = f"[{', '.join(objects)}]"
            if not self.open and len(objects) == 1:
                return objects[0]
            return self.open.removesuffix("[") + listed + self.close
        if self.close:
            return "\n".join(f"{self.open}\n{text}\n{self.close}" for text in objects)
        return self.open + self.separator.join(objects)


def _after(mark: str) -> str:
    """The rule of what follows a mark."""
    return "after_bracket" if mark.endswith("[") else "after_mark"
