"""Tools for a model whose template knows none: all that it is told of them is text.

    You can call these functions. Each line describes one:
    {"name": "get_weather", "description": "...", "parameters": {...}}

    To call one, answer with nothing but its name and its arguments, in just this form:
    {"name": "a_function", "arguments": {"a_parameter": "a value"}}
    ...

It is the end of the system message. Calls in the history are written as the model writes them, and
results are messages of the user.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from workers.contract.job import Message
from workers.contract.tools import ToolChoice, Tools
from workers.engines.tool_calls.base import Family, WrittenCall

_EXAMPLE = WrittenCall("a_function", '{"a_parameter": "a value"}')


def instructions(family: Family, tools: Tools) -> str:
    """What the system message says of the tools, in the family's form; empty where there are none.

    It may be as long as the tools are.
    """
    if not tools.offered:
        return ""
    described = (tool.to_dict()["function"] for tool in tools.offered)
    lines = [
        "You can call these functions. Each line describes one:",
        *(json.dumps(function, ensure_ascii=False) for function in described),
        "",
        "To call one, answer with nothing but its name and its arguments, in just this form:",
        family.write([_EXAMPLE]),
    ]
    if tools.parallel:
        lines += ["", "To call several at once:", family.write([_EXAMPLE, _EXAMPLE])]
    lines += ["", f"The results are sent to you, and then you answer. {_when(tools)}"]
    return "\n".join(lines)


def as_text(messages: Iterable[Message], family: Family, tools: Tools | None) -> list[Message]:
    """A conversation in which tools, calls and results are text, and roles are the plain ones.

    Results that follow each other, and a message of the user's after them, are one message: most
    templates want turns that alternate.
    """
    told = instructions(family, tools) if tools is not None else ""
    names: dict[str, str] = {}
    turns: list[Message] = []
    results: list[str] = []
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id or "", message.name or "the function")
            results.append(f"Result of {name}:\n{message.content or ''}")
            continue
        if results and message.role == "user":
            content = "\n\n".join((*results, message.content or ""))
            message = dataclasses.replace(message, content=content)
        else:
            turns += _user(results)
        results = []
        turns.append(_without_calls(message, family, names))
    turns += _user(results)
    if not told:
        return turns
    if turns and turns[0].role in ("system", "developer"):
        content = "\n\n".join(filter(None, (turns[0].content, told)))
        return [dataclasses.replace(turns[0], content=content), *turns[1:]]
    return [Message("system", told), *turns]


def _when(tools: Tools) -> str:
    if tools.choice is ToolChoice.NAMED:
        return f"Call {tools.name} now."
    if tools.choice is ToolChoice.REQUIRED:
        return "Call a function now."
    return "Call a function only where you need it; else answer as usual."


def _user(results: list[str]) -> list[Message]:
    return [Message("user", "\n\n".join(results))] if results else []


def _without_calls(message: Message, family: Family, names: dict[str, str]) -> Message:
    """A message whose calls are part of its text; notes their names by their ids."""
    if not message.tool_calls:
        return message
    calls = []
    for call in message.tool_calls:
        function = call.get("function") or {}
        name, arguments = str(function.get("name", "")), function.get("arguments", "{}")
        names[str(call.get("id", ""))] = name
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(WrittenCall(name, text or "{}"))
    content = "\n\n".join(filter(None, (message.content, family.write(calls))))
    return dataclasses.replace(message, content=content, tool_calls=None)
