"""Tools: what a model may call, and the calls that it makes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
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
        return self.choice in (ToolChoice.REQUIRED, ToolChoice.NAMED)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tools:
        """Rebuild what `dataclasses.asdict` wrote."""
        names = {field.name for field in dataclasses.fields(Tool)}
        tools = tuple(
            Tool(**{name: value for name, value in tool.items() if name in names})
            for tool in data["tools"]
        )
        return cls(
            tools, ToolChoice(data["choice"]), data.get("name"), bool(data.get("parallel", True))
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
