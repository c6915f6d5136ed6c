"""Input items of the Responses API as messages of a chat completion.

What the assistant thought, said and called is items of its own there, and one message here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from web.schemas.refusals import excerpt, invalid
from workers.contract.errors import PayloadTooLarge, UnsupportedParameter, ValidationFailed

#: Types of text parts.
_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")
_ROLES = ("user", "assistant", "system", "developer")
#: Parts of an assistant's message, in their order.
_THOUGHT, _CALLS = "reasoning_content", "tool_calls"
_OWN = (_THOUGHT, "content", _CALLS)


def read(
    input_: Any,
    before: Sequence[Mapping[str, Any]] = (),
    output: Sequence[Mapping[str, Any]] = (),
    referenced: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The conversation: messages and output items of the response before, then the input's.

    `referenced`: the output items that references name, by their ids.

    Raises:
        ValidationFailed: an item is wrong, or calls and outputs do not go together.
        UnsupportedParameter: an item, or a part of one, is none that is read here.
    """
    if isinstance(input_, str):
        input_ = [{"role": "user", "content": input_}]
    conversation = _Conversation(before, referenced or {})
    for item in output:
        conversation.add("previous_response_id", item)
    for position, item in enumerate(input_):
        conversation.add(f"input.{position}", item)
    return conversation.end()


def references(input_: Any) -> list[str]:
    """Ids of the items that an input refers to; what is wrong with it is not looked at."""
    if not isinstance(input_, list):
        return []
    named = (
        item.get("id")
        for item in input_
        if isinstance(item, dict) and item.get("type") == "item_reference"
    )
    return [each for each in named if isinstance(each, str)]


def require_small(conversation: Sequence[Mapping[str, Any]], most: int) -> None:
    """Refuse a conversation that has grown, response by response, beyond what one body may have.

    Raises:
        PayloadTooLarge: its texts have more than `most` characters together.
    """
    size = 0
    for message in conversation:
        size += len(message.get("content") or "") + len(message.get(_THOUGHT) or "")
        size += sum(len(call["function"]["arguments"]) for call in message.get(_CALLS) or ())
    if size > most:
        raise PayloadTooLarge(
            f"The conversation, with what came before it, has more than {most} characters "
            "(INFERENCE_MAX_BODY_MB).",
            details={"param": "input", "bound": "conversation", "limit": most},
        )


class _Conversation:
    """Messages so far, and the calls that wait for their outputs."""

    def __init__(
        self, before: Iterable[Mapping[str, Any]], referenced: Mapping[str, Mapping[str, Any]]
    ) -> None:
        #: Those that were not referred to yet: a few bytes do not stand for a text again and again.
        self._referenced = dict(referenced)
        self._messages = [dict(message) for message in before]
        #: Parts of the assistant's message that is open: each of its texts, each of its calls.
        self._said: dict[str, list[Any]] = {}
        #: Id of a call without output -> where it stands.
        self._waiting: dict[str, str] = {}

    def add(self, path: str, item: Any) -> None:
        """Read one item."""
        if not isinstance(item, dict):
            raise invalid(path, "must be an object")
        match item.get("type", "message"):
            case "message":
                self._add_message(path, item)
            case "function_call":
                self._add_call(path, item)
            case "function_call_output":
                self._add_output(path, item)
            case "reasoning":
                parts = item.get("content") or item.get("summary") or []
                if text := _text(f"{path}.content", parts):
                    self._own(_THOUGHT, text)
            case "item_reference":
                referenced = self._referenced.pop(_string(path, item, "id"), None)
                if referenced is None:
                    raise invalid(
                        f"{path}.id",
                        "is of no item of a response that is kept, or stands here twice",
                    )
                self.add(path, referenced)
            case kind:
                raise _unknown(f"{path}.type", "items", kind)

    def end(self) -> list[dict[str, Any]]:
        """All messages."""
        self._close()
        if self._waiting:
            call_id, path = next(iter(self._waiting.items()))
            raise invalid(path, f"has a call without its output: {excerpt(call_id)!r}")
        return self._messages

    def _add_message(self, path: str, item: Mapping[str, Any]) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise invalid(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
        if "content" not in item:
            raise invalid(f"{path}.content", "is missing")
        text = _text(f"{path}.content", item["content"])
        if role == "assistant":
            self._own("content", text)
        else:
            self._close()
            self._messages.append({"role": role, "content": text})

    def _add_call(self, path: str, item: Mapping[str, Any]) -> None:
        call_id = _string(path, item, "call_id")
        if call_id in self._waiting:
            raise invalid(f"{path}.call_id", "is that of an earlier call: each has its own")
        called = {
            "name": _string(path, item, "name"),
            "arguments": _string(path, item, "arguments"),
        }
        self._own(_CALLS, {"id": call_id, "type": "function", "function": called})
        self._waiting[call_id] = path

    def _add_output(self, path: str, item: Mapping[str, Any]) -> None:
        call_id = _string(path, item, "call_id")
        if self._waiting.pop(call_id, None) is None:
            raise invalid(f"{path}.call_id", "is of no call before it that has no output")
        if "output" not in item:
            raise invalid(f"{path}.output", "is missing")
        output = _text(f"{path}.output", item["output"])
        self._close()
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": output})

    def _own(self, name: str, said: Any) -> None:
        """Add to the assistant's message, or begin one: what it thought stands before what it
        said, and that before what it called.
        """
        if any(self._said.get(later) for later in _OWN[_OWN.index(name) + 1 :]):
            self._close()
        self._said.setdefault(name, []).append(said)

    def _close(self) -> None:
        """End the assistant's message, if one is open."""
        said, self._said = self._said, {}
        if not said:
            return
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {name: "\n".join(said[name]) for name in ("content", _THOUGHT) if name in said}
        if _CALLS in said:
            message[_CALLS] = said[_CALLS]
        self._messages.append(message)


def _text(path: str, content: Any) -> str:
    """A text, or text parts joined by line breaks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(path, "must be a string or a list of parts")
    return "\n".join(_part(f"{path}.{at}", part) for at, part in enumerate(content))


def _part(path: str, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "refusal":
        return _string(path, part, "refusal")
    if kind not in _TEXTS:
        raise _unknown(path, "parts", kind)
    return _string(path, part, "text")


def _unknown(path: str, what: str, kind: Any) -> Exception:
    if not isinstance(kind, str):
        return ValidationFailed(f"{path} must be a string.", details={"param": path})
    return UnsupportedParameter(
        f"{path}: {what} of type {excerpt(kind)!r} are not supported; models read text, and call "
        "functions.",
        details={"param": path},
    )


def _string(path: str, item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise invalid(f"{path}.{name}", "must be a string" if name in item else "is missing")
    return value
