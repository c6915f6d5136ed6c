"""Families that write a call's name before its arguments, a JSON object, with marks between."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.constraints import lark
from workers.contract.tools import Tools
from workers.engines.tool_calls.base import CallParser, TokenOf, WrittenCall
from workers.engines.tool_calls.call_writer import CallWriter, openai_id
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.lark_rules import LarkRules
from workers.engines.tool_calls.named_reader import NamedReader
from workers.engines.tool_calls.parser import FormParser
from workers.engines.tool_calls.reader import Reader


@dataclass(frozen=True)
class NamedFamily:
    """See `base.Family`. An answer is `begin`, calls with `separator` between, `end`."""

    name: str
    #: Before a call's name, between name and arguments, and after them.
    before: str
    between: str
    after: str
    #: What is read: at least what is written.
    form: Form
    #: All that may stand between a mark of `form.opens` and the arguments, the name as a group.
    head: re.Pattern[str]
    recognise: Callable[[str], bool]
    begin: str = ""
    separator: str = ""
    end: str = ""
    #: Further marks.
    others: tuple[str, ...] = ()
    reader: Callable[[CallWriter, str, bool], Reader] | None = None
    make_id: Callable[[str, int], str] = openai_id
    grammar_covers_thought: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """See `base.Family`."""
        return tuple(dict.fromkeys((*self.form.opens, *self.form.closes, *self.others)))

    def recognises(self, template: str) -> bool:
        """See `base.Family`."""
        return self.recognise(template)

    def parser(self, tools: Tools, id_prefix: str) -> CallParser:
        """See `base.Family`."""
        reader = self.reader or (lambda writer, mark, in_list: NamedReader(writer, self.head))
        return FormParser(self.form, CallWriter(tools, id_prefix, self.make_id), reader)

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = self._rules(tools, token_of)
        rules.add("start", f"{rules.text(self.begin)} calls")
        return str(rules)

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = self._rules(tools, token_of)
        said = rules.said(opened)
        if opened == self.begin:
            rules.add("start", f"{said} SPACE calls")
        else:
            rest = rules.text(self.before.removeprefix(opened))
            rules.add("start", f"{said} {rest} after_before")
        return str(rules)

    def _rules(self, tools: Tools, token_of: TokenOf) -> LarkRules:
        rules = LarkRules(self.marks, token_of)
        rules.add("named", *self._named(rules, tools, self.between))
        before, after = rules.text(self.before), rules.text(self.after)
        separator = rules.text(self.separator)
        again = rules.further(f"{separator} {before} named {after}", tools)
        rules.add("after_before", f"named {after} {again} {rules.text(self.end)}")
        rules.add("calls", f"{before} after_before")
        return rules

    @staticmethod
    def _named(rules: LarkRules, tools: Tools, between: str) -> list[str]:
        """A call from its name on, for each tool."""
        marks = rules.text(between)
        return [
            f"{lark.literal(tool.name)} {marks} {rules.arguments(index, tool)}"
            for index, tool in enumerate(tools.callable)
        ]

    def write(self, calls: Sequence[WrittenCall]) -> str:
        """See `base.Family`."""
        written = [
            f"{self.before}{call.name}{self.between}{call.arguments}{self.after}" for call in calls
        ]
        return self.begin + self.separator.join(written) + self.end
