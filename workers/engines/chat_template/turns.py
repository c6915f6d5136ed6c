"""Messages as a template takes them: mappings whose texts are the caller's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Message
from workers.engines.chat_template.traced_text import TracedText, own

#: Roles that the front end lets pass. Templates make marks of them: `<|user|>`.
_ROLES = {role: own(role) for role in ("system", "developer", "user", "assistant", "tool")}


@dataclass(frozen=True, slots=True)
class Forms:
    """How a template wants what can be said in two ways."""

    #: Roles whose content is to be a list of parts: a text would be lost, or raise an error.
    in_parts: frozenset[str] = frozenset()
    #: The arguments of a tool call are to stay JSON text; most templates take them as a mapping.
    arguments_as_text: bool = False


def turns(messages: Iterable[Message], forms: Forms) -> list[dict[str, Any]]:
    """The messages, absent fields left out."""
    return [_turn(message.to_dict(), forms) for message in messages]


def callers(value: Any) -> Any:
    """A JSON value whose texts are the caller's."""
    if isinstance(value, str):
        return TracedText(value)
    if isinstance(value, Mapping):
        return {str(name): callers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [callers(item) for item in value]
    return value


def _turn(message: dict[str, Any], forms: Forms) -> dict[str, Any]:
    turn: dict[str, Any] = {name: callers(value) for name, value in message.items()}
    role = message["role"]
    turn["role"] = _ROLES.get(role, turn["role"])
    if role in forms.in_parts:
        turn["content"] = [{"type": own("text"), "text": turn["content"]}]
    if "tool_calls" in turn and not forms.arguments_as_text:
        for call in turn["tool_calls"]:
            _parse_arguments(call)
    if "reasoning_content" in turn:
        # gpt-oss reads this name; transformers gives both.
        turn["thinking"] = turn["reasoning_content"]
    return turn


def _parse_arguments(call: Any) -> None:
    """OpenAI's history has JSON text where templates go through a mapping."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(arguments, str):
        return
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return
    if isinstance(parsed, dict):
        function["arguments"] = callers(parsed)
