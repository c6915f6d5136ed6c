"""The conversation: what callers send as `messages`, and what a job keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import fields

from web.schemas.fields import Content, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import excerpt, header_safe, invalid
from web.schemas.tool_history import CalledFunctionSchema, CallsField, ToolHistory
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.job import Message

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
#: Templates know neither; OpenAI's own rule is that `developer` replaces `system`, and `tool`
#: `function`.
_SHOWN_AS = {"developer": "system", "function": "tool"}


class MessageSchema(LenientSchema):
    """One turn. Fields that only other services know are let pass."""

    role = Text(required=True, choices=ROLES)
    content = Content()
    name = Text(most=256)
    tool_calls = CallsField()
    tool_call_id = Text(most=256)
    #: The older form of one call.
    function_call = fields.Nested(CalledFunctionSchema, allow_none=True)
    reasoning_content = Text()


_KNOWN = frozenset(MessageSchema().fields)


def read(turns: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Messages from turns that `MessageSchema` has loaded.

    Raises:
        ValidationFailed: a turn says nothing, a part of it is no text part, or it is the result of
            a call that is not there.
        UnsupportedParameter: a part holds something else than text.
    """
    history = ToolHistory()
    return tuple(
        _message(f"messages.{position}", turn, history) for position, turn in enumerate(turns)
    )


def require_few(turns: Any, most: int) -> None:
    """Refuse too many messages before any of them is looked at; `most` is INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: they are too many.
    """
    if isinstance(turns, list) and len(turns) > most:
        raise ValidationFailed(
            f"messages must have at most {most} items (INFERENCE_MAX_MESSAGES).",
            details={"param": "messages", "bound": "messages", "limit": most},
        )


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


def _message(path: str, turn: Mapping[str, Any], history: ToolHistory) -> Message:
    role, content = turn["role"], turn.get("content")
    if content is None and role != "assistant":
        raise invalid(f"{path}.content", "is missing")
    name = turn.get("name")
    calls: tuple[Mapping[str, Any], ...] = ()
    call_id = None
    if role == "assistant":
        calls = history.calls(path, turn)
    elif role in ("tool", "function"):
        call_id, called = history.answered(path, turn)
        name = name or called  # templates that show names would show none
    return Message(
        role=_SHOWN_AS.get(role, role),
        content=_joined(f"{path}.content", content) if isinstance(content, list) else content,
        name=name,
        tool_calls=calls or None,
        tool_call_id=call_id,
        reasoning_content=turn.get("reasoning_content"),
    )


def _joined(path: str, parts: list[Any]) -> str:
    """Text parts, joined by line breaks."""
    return "\n".join(text_of(f"{path}.{position}", part) for position, part in enumerate(parts))


def text_of(path: str, part: Any) -> str:
    """The text of a part of a message's content.

    Raises:
        ValidationFailed: it is no part.
        UnsupportedParameter: it holds something else than text.
    """
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
