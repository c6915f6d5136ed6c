"""Messages as a template takes them: mappings whose texts are the caller's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Message
from workers.engines.chat_template.traced_text import TracedText, own

#: Roles that the front end lets pass. Templates make marks of them: `<|user|>`.
_ROLES = {role: own(role) for role in ("system", "developer", "user", "assistant", "tool")}
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


@dataclass(frozen=True, slots=True)
class Forms:
    """How a template wants what can be said in two ways."""

    #: Roles whose content is to be a list of parts: a text would be lost, or raise an error.
    in_parts: frozenset[str] = frozenset()
    #: The arguments of a tool call are to stay JSON text; most templates take them as a mapping.
    arguments_as_text: bool = False
    #: The ids of calls are to have nine letters and digits; callers send those of any model.
    short_ids: bool = False


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
    for call in turn.get("tool_calls", ()):
        if not forms.arguments_as_text:
            _parse_arguments(call)
        if forms.short_ids and isinstance(call, dict) and "id" in call:
            call["id"] = _short(call["id"])
    if forms.short_ids and "tool_call_id" in turn:
        turn["tool_call_id"] = _short(turn["tool_call_id"])
    if "reasoning_content" in turn:
        # gpt-oss reads this name; transformers gives both.
        turn["thinking"] = turn["reasoning_content"]
    return turn


def _short(call_id: Any) -> Any:
    """An id of nine letters and digits; the same one for the same id."""
    if not isinstance(call_id, str) or _SHORT_ID.fullmatch(call_id):
        return call_id
    return TracedText(hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9])


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
