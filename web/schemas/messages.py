"""The conversation: what callers send as `messages`, and what a job keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import fields

from web.schemas.fields import Content, Items, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import excerpt, header_safe, invalid
from workers.contract.errors import UnsupportedParameter
from workers.contract.job import Message

ROLES = ("system", "developer", "user", "assistant", "tool")


class MessageSchema(LenientSchema):
    """One turn. Fields that only other services know are let pass."""

    role = Text(required=True, choices=ROLES)
    content = Content()
    name = Text(most=256)
    tool_calls = Items(fields.Dict(), allow_none=True)
    tool_call_id = Text(most=256)
    reasoning_content = Text()


_KNOWN = frozenset(MessageSchema().fields)


def read(turns: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Messages from turns that `MessageSchema` has loaded.

    Raises:
        ValidationFailed: a turn says nothing, or a part of it is no text part.
        UnsupportedParameter: a part holds something else than text.
    """
    return tuple(_message(f"messages.{position}", turn) for position, turn in enumerate(turns))


def unknown_names(turns: Any) -> list[str]:
    """Names of fields that are let pass and change nothing, each once."""
    if not isinstance(turns, list):
        return []
    names = {
        name
        for turn in turns
        if isinstance(turn, dict)
        for name in turn.keys() - _KNOWN
        if turn[name] is not None
    }
    return [header_safe(f"messages.{name}") for name in sorted(names)]


def _message(path: str, turn: Mapping[str, Any]) -> Message:
    role, content = turn["role"], turn.get("content")
    calls = turn.get("tool_calls")
    if content is None and role != "assistant":
        raise invalid(f"{path}.content", "is missing")
    return Message(
        # Templates know no `developer`; OpenAI's own rule is that it replaces `system`.
        role="system" if role == "developer" else role,
        content=_joined(f"{path}.content", content) if isinstance(content, list) else content,
        name=turn.get("name"),
        tool_calls=tuple(calls) if calls else None,
        tool_call_id=turn.get("tool_call_id"),
        reasoning_content=turn.get("reasoning_content"),
    )


def _joined(path: str, parts: list[Any]) -> str:
    """Text parts, joined by line breaks."""
    return "\n".join(_text(f"{path}.{position}", part) for position, part in enumerate(parts))


def _text(path: str, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise invalid(path, 'must be {"type": "text", "text": "..."}')
    if kind != "text":
        raise UnsupportedParameter(
            f"{path}: parts of type {excerpt(kind)!r} are not supported yet; send text.",
            details={"param": path},
        )
    if not isinstance(part.get("text"), str):
        raise invalid(f"{path}.text", "must be a string")
    return str(part["text"])
