"""What one answer is read as, and to what its tokens are held."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from presets.model import Reasoning
from workers.constraints import grammar
from workers.contract.constraint import Constraint
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.sampling import Sampling
from workers.contract.tools import Tools
from workers.engines import reasoning
from workers.engines.reasoning import Plain, Splitter
from workers.engines.text import TextAssembler
from workers.engines.tool_calls import registry
from workers.engines.tool_calls.base import CallParser, Family, TokenOf

#: The request's fields by which errors name what a call is held to.
_CHOICE, _TOOLS = "tool_choice", "tools"


@dataclass(frozen=True, slots=True)
class Grammar:
    """What tokens are held to, in llguidance's form. It is not compiled."""

    text: str
    #: The request's field that it came from, by which errors name it.
    param: str

    @classmethod
    def of(cls, constraint: Constraint) -> Grammar:
        """The grammar of a constraint.

        Raises:
            ValidationFailed: nothing can be held to it.
        """
        try:
            return cls(grammar.of(constraint), constraint.param)
        except grammar.Unobeyable as error:
            raise ValidationFailed(
                f"{constraint.param} {error}", details={"param": constraint.param}
            ) from None

    def or_else(self, other: Grammar) -> Grammar:
        """What follows either of the two."""
        either = {"lark_grammar": "start: @first | @second"}
        parts = [
            {**_grammars(text)[0], "name": name}
            for name, text in (("first", self.text), ("second", other.text))
        ]
        return Grammar(json.dumps({"grammars": [either, *parts]}), other.param)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that an answer may make."""

    family: Family
    tools: Tools
    #: From what the ids of calls are made: an attempt that goes on gives the same ones.
    id_prefix: str

    def parser(self) -> CallParser:
        """What finds them in one answer's content."""
        return self.family.parser(self.tools, self.id_prefix)

    def grammar(self, token_of: TokenOf) -> Grammar:
        """The answer where a call must come."""
        return Grammar(self.family.grammar(self.tools, token_of), _CHOICE)

    def grammar_after(self, opened: str, token_of: TokenOf) -> Grammar:
        """How the answer goes on after calls were opened; see `Family.grammar_after`."""
        return Grammar(self.family.grammar_after(opened, self.tools, token_of), _TOOLS)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "family": self.family.name,
            "tools": dataclasses.asdict(self.tools),
            "id_prefix": self.id_prefix,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calls:
        """Rebuild what `to_dict` wrote."""
        family = registry.families()[data["family"]]
        return cls(family, Tools.from_dict(data["tools"]), data["id_prefix"])


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How one answer is sorted, and held.

    A grammar holds it from its content on. Without one it is free, until it opens a call.
    """

    reasoning: Reasoning | None = None
    #: The rendered prompt: its end says whether a thought is open.
    prompt: str = ""
    #: None: the request offers no tools.
    calls: Calls | None = None
    grammar: Grammar | None = None
    #: The grammar is of the whole answer, thoughts included.
    covers_thought: bool = False

    def holding(self, constraint: Constraint | None, token_of: TokenOf) -> AnswerForm:
        """The same form with what the request holds its answer to.

        With a constraint and tools that may be called the content follows the constraint, or the
        answer is a call, as OpenAI's API has it.

        Raises:
            ValidationFailed: nothing can be held to the constraint.
            UnsupportedParameter: calls of this family cannot be told from content by a grammar.
        """
        calls = self.calls
        if calls is None or not (calls.tools.must_call or constraint is not None):
            held = None if constraint is None else Grammar.of(constraint)
            return dataclasses.replace(self, grammar=held)
        covers_thought = calls.family.grammar_covers_thought
        called = calls.grammar(token_of)
        if constraint is None or calls.tools.must_call:
            return dataclasses.replace(self, grammar=called, covers_thought=covers_thought)
        if covers_thought:
            raise UnsupportedParameter(
                f"This model's form of calls ({calls.family.name}) does not go with "
                f"{constraint.param}; send {constraint.param} or tools, or tool_choice none or "
                "required.",
                details={"param": constraint.param},
            )
        return dataclasses.replace(self, grammar=called.or_else(Grammar.of(constraint)))

    def splitter(self) -> Splitter:
        """What sorts its thought from its content."""
        return reasoning.splitter(self.reasoning, self.prompt, calls=self.calls is not None)

    def assembler(self, sampling: Sampling) -> TextAssembler:
        """What makes of its tokens' bytes what can be shown."""
        parser = None if self.calls is None else self.calls.parser()
        return TextAssembler.of(sampling, self.splitter(), parser)

    def before_grammar(self) -> Splitter:
        """What says where its grammar begins: with the content."""
        return Plain() if self.covers_thought else self.splitter()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "reasoning": self.reasoning and dataclasses.asdict(self.reasoning),
            "prompt": self.prompt,
            "calls": self.calls and self.calls.to_dict(),
            "grammar": self.grammar and dataclasses.asdict(self.grammar),
            "covers_thought": self.covers_thought,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AnswerForm:
        """Rebuild what `to_dict` wrote."""
        thinks, calls, held = data["reasoning"], data["calls"], data["grammar"]
        return cls(
            Reasoning(**thinks) if thinks else None,
            data["prompt"],
            Calls.from_dict(calls) if calls else None,
            Grammar(**held) if held else None,
            data["covers_thought"],
        )


def _grammars(text: str) -> list[dict[str, Any]]:
    """A grammar's parts in llguidance's JSON form; Lark stays Lark inside it."""
    try:
        parts: list[dict[str, Any]] = json.loads(text)["grammars"]
    except (ValueError, TypeError, KeyError):
        return [{"lark_grammar": text}]
    return parts
