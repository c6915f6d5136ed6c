"""What a request offers the model to call: `tools`, `tool_choice`, and their older names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate

from web.schemas.fields import Flag, Items, JsonField, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import excerpt, header_safe, invalid
from workers.constraints.arguments import Arguments
from workers.constraints.grammar import Unobeyable
from workers.contract.tools import Tool, ToolChoice, Tools

#: Tools of one request, as OpenAI has it.
MOST_TOOLS = 128
#: Characters of a description; those of coding agents have some thousands.
LONGEST_DESCRIPTION = 32_768
#: OpenAI's rule for names.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WORDS = (ToolChoice.NONE, ToolChoice.AUTO, ToolChoice.REQUIRED)


class FunctionName(Text):
    """A function's name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=True, least=1, most=64, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        name = super()._deserialize(value)
        if not _NAME.fullmatch(name):
            raise ValidationError("may have only letters, digits, _ and -")
        return name

    def _json_schema(self) -> dict[str, Any]:
        return {**super()._json_schema(), "pattern": "^[a-zA-Z0-9_-]+$"}


class FunctionSchema(LenientSchema):
    """A function that the model may call."""

    name = FunctionName()
    description = Text(most=LONGEST_DESCRIPTION)
    parameters = fields.Dict(
        allow_none=True,
        metadata={"description": "A JSON Schema of its arguments; of the type `object`."},
    )
    strict = Flag(
        description="Refuse a schema to which arguments cannot be held in every part of it."
    )


class ToolSchema(LenientSchema):
    """A tool: a function."""

    type = Text(required=True, choices=("function",))
    function = fields.Nested(
        FunctionSchema,
        required=True,
        # marshmallow formats it: hence the braces.
        error_messages={"required": 'is missing: send {{"type": "function", "function": ...}}'},
    )


class NamedFunctionSchema(LenientSchema):
    """A function, by its name."""

    name = FunctionName()


class NamedToolSchema(LenientSchema):
    """A tool, by the name of its function."""

    type = Text(required=True, choices=("function",))
    function = fields.Nested(NamedFunctionSchema, required=True)


class AllowedSchema(LenientSchema):
    """Some of the tools, and whether one of them must be called."""

    mode = Text(required=True, choices=("auto", "required"))
    tools = Items(fields.Nested(NamedToolSchema), required=True, validate=validate.Length(min=1))


class AllowedToolsSchema(LenientSchema):
    """The choice of OpenAI's that leaves some of the tools."""

    allowed_tools = fields.Nested(AllowedSchema, required=True)


class ToolsField(Items):
    """Tools, or functions in the older form."""

    def __init__(self, schema: type[LenientSchema], description: str) -> None:
        super().__init__(
            fields.Nested(schema),
            allow_none=True,
            most=MOST_TOOLS,
            metadata={"description": description},
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What `tool_choice` says."""

    choice: ToolChoice
    #: The tool that is named.
    name: str | None = None
    #: Names of the tools that are left; None: all.
    allowed: tuple[str, ...] | None = None


class ToolChoiceField(JsonField[Choice]):
    """`none`, `auto`, `required`, a tool by its name, or some of the tools."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Choice:
        if isinstance(value, str) and value in _WORDS:
            return Choice(ToolChoice(value))
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "function":
            return Choice(ToolChoice.NAMED, NamedToolSchema().load(value)["function"]["name"])
        if kind == "allowed_tools":
            given = AllowedToolsSchema().load(value)["allowed_tools"]
            names = tuple(tool["function"]["name"] for tool in given["tools"])
            return Choice(ToolChoice(given["mode"]), allowed=names)
        raise ValidationError(
            'must be none, auto, required, or {"type": "function", "function": {"name": "..."}}'
        )

    def json_schema(self) -> dict[str, Any]:
        """One of the words, an object, or null."""
        named = _object(type={"const": "function"}, function=_object(name={"type": "string"}))
        tools = {"type": "array", "items": named, "minItems": 1}
        mode = {"type": "string", "enum": ["auto", "required"]}
        allowed = _object(
            type={"const": "allowed_tools"}, allowed_tools=_object(mode=mode, tools=tools)
        )
        words = {"type": "string", "enum": [word.value for word in _WORDS]}
        return {"anyOf": [words, named, allowed, {"type": "null"}]}


class FunctionCallField(JsonField[Choice]):
    """The older form of `tool_choice`."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Choice:
        if value in ("none", "auto"):
            return Choice(ToolChoice(value))
        if isinstance(value, dict):
            return Choice(ToolChoice.NAMED, NamedFunctionSchema().load(value)["name"])
        raise ValidationError('must be none, auto, or {"name": "..."}')

    def json_schema(self) -> dict[str, Any]:
        """One of the words, an object, or null."""
        words = {"type": "string", "enum": ["none", "auto"]}
        return {"anyOf": [words, _object(name={"type": "string"}), {"type": "null"}]}


def read(data: Mapping[str, Any]) -> tuple[Tools | None, tuple[str, ...]]:
    """The tools of a loaded body, and what their arguments are not held to, in words.

    None where there are none; a choice that asks for nothing then is let pass.

    Raises:
        ValidationFailed: two have one name, a schema cannot be held to, the choice names none of
            them, or both forms are used.
    """
    older = _older_form(data)
    names = ("functions", "function_call") if older else ("tools", "tool_choice")
    given, choice = data.get(names[0]) or (), data.get(names[1])
    if not given:
        if choice is not None and (choice.name or choice.allowed or choice.choice.must_call):
            raise invalid(names[1], f"goes only with {names[0]}, and there are none")
        return None, ()
    tools, relaxed = _tools(given, older)
    choice = choice or Choice(ToolChoice.AUTO)
    _require_known([choice.name] if choice.name else choice.allowed or (), tools, names[1])
    if choice.allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed)
    return Tools(tools, choice.choice, choice.name, _parallel(data, choice, older), older), relaxed


def _parallel(data: Mapping[str, Any], choice: Choice, older: bool) -> bool:
    """Whether several calls may stand in one answer.

    Who names a tool waits for one call of it, as clients that ask for an object so do. Small models
    would call it again and again.
    """
    parallel = data.get("parallel_tool_calls")
    if parallel is None:
        parallel = choice.choice is not ToolChoice.NAMED
    return parallel and not older


def _older_form(data: Mapping[str, Any]) -> bool:
    newer = [name for name in ("tools", "tool_choice") if data.get(name)]
    older = [name for name in ("functions", "function_call") if data.get(name)]
    if newer and older:
        raise invalid(older[0], f"is the older form of {newer[0]}; send one of both forms")
    return bool(older)


def _tools(
    given: Iterable[Mapping[str, Any]], older: bool
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    tools: dict[str, Tool] = {}
    relaxed: list[str] = []
    arguments = Arguments()
    for position, item in enumerate(given):
        path = f"functions.{position}" if older else f"tools.{position}.function"
        function = item if older else item["function"]
        name = function["name"]
        if name in tools:
            raise invalid(
                f"{path}.name", f"is {name!r}, which an earlier one has: each needs its own"
            )
        strict = bool(function.get("strict"))
        try:
            held = arguments.hold(function.get("parameters"), strict=strict)
        except Unobeyable as error:
            raise invalid(f"{path}.parameters", f"of {name!r} {error}") from None
        tools[name] = Tool(name, function.get("description"), held.schema, strict)
        if held.relaxed:
            why = header_safe(held.relaxed.replace('"', "").replace(",", ""))
            relaxed.append(f"{path}.parameters: calls of {name} are not held to all of it: {why}")
    return tuple(tools.values()), tuple(relaxed)


def _require_known(names: Iterable[str], tools: Iterable[Tool], param: str) -> None:
    known = [tool.name for tool in tools]
    for name in names:
        if name not in known:
            raise invalid(
                param, f"names {name!r}, which is none of the tools: {excerpt(', '.join(known))}"
            )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}
