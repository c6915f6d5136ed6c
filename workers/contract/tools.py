"""Tools: what a model may call, and the calls that it makes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class ToolChoice(enum.StrEnum):
    """Whether the model calls a tool."""

    #: It answers with text; the tools are not shown to it.
    NONE = "none"
    #: It decides.
    AUTO = "auto"
    #: It calls at least one.
    REQUIRED = "required"
    #: It calls the one of `Tools.name`.
    NAMED = "named"

    @property
    def must_call(self) -> bool:
        """It leaves no other answer than a call."""
        return self in (ToolChoice.REQUIRED, ToolChoice.NAMED)


@dataclass(frozen=True, slots=True)
class Tool:
    """One function that a model may call."""

    name: str
    description: str | None = None
    #: JSON Schema of the arguments, an object; None: it takes none.
    parameters: Mapping[str, Any] | None = None
    #: The arguments obey the schema to the letter.
    strict: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The tool as chat templates and the OpenAI API have it."""
        function: dict[str, Any] = {"name": self.name}
        if self.description is not None:
            function["description"] = self.description
        function["parameters"] = self.parameters or {"type": "object", "properties": {}}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Tools:
    """What a request offers the model to call."""

    tools: tuple[Tool, ...]
    choice: ToolChoice = ToolChoice.AUTO
    #: The tool that must be called, where the choice is `NAMED`.
    name: str | None = None
    #: Several calls may stand in one answer.
    parallel: bool = True
    #: The request has them as OpenAI's older `functions`: its answer has the older form, too.
    as_functions: bool = False

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The tools that the model is shown."""
        return () if self.choice is ToolChoice.NONE else self.tools

    @property
    def callable(self) -> tuple[Tool, ...]:
        """The tools that it may call."""
        if self.choice is ToolChoice.NAMED:
            return tuple(tool for tool in self.tools if tool.name == self.name)
        return self.offered

    @property
    def must_call(self) -> bool:
        """The answer is a call from its first token."""
        return self.choice.must_call

    def without_request(self) -> Tools | None:
        """What is kept once the job has ended: in which form its calls are shown."""
        return Tools((), as_functions=True) if self.as_functions else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tools:
        """Rebuild what `dataclasses.asdict` wrote."""
        names = {field.name for field in dataclasses.fields(Tool)}
        tools = tuple(
            Tool(**{name: value for name, value in tool.items() if name in names})
            for tool in data["tools"]
        )
        return cls(
            tools,
            ToolChoice(data["choice"]),
            data.get("name"),
            bool(data.get("parallel", True)),
            bool(data.get("as_functions")),
        )


@dataclass(frozen=True, slots=True)
class CallPart:
    """A piece of a call: its id and its name come once, with its first piece."""

    #: Which call of the answer, from 0.
    index: int
    id: str = ""
    name: str = ""
    #: The next characters of the arguments, which are JSON once all have come.
    arguments: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict of what it adds, without what it leaves as it was."""
        said = {"id": self.id, "name": self.name, "arguments": self.arguments}
        return {"index": self.index, **{name: text for name, text in said.items() if text}}


def join(parts: Iterable[CallPart]) -> tuple[CallPart, ...]:
    """The same pieces, each with those of its call that come right after it."""
    joined: list[CallPart] = []
    for part in parts:
        if not joined or joined[-1].index != part.index:
            joined.append(part)
            continue
        before = joined[-1]
        joined[-1] = CallPart(
            part.index,
            before.id or part.id,
            before.name or part.name,
            before.arguments + part.arguments,
        )
    return tuple(joined)
