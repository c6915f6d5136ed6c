"""A conversation of Anthropic's API as messages of a chat completion.

Turns of one role that follow each other are one turn. Results of tools, which are blocks of the
user's turn there, are messages of their own here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from web.schemas.refusals import excerpt, invalid
from workers.contract.errors import UnsupportedParameter

#: A content block, and where it stands in the request.
Block = tuple[str, Mapping[str, Any]]
#: Blocks of what models do not read, or of what is not run here -> what to do about it.
_REFUSED: Mapping[str, str] = {
    "image": "models read text",
    "document": "models read text; send the document's text as a text block",
    "search_result": "send its text as a text block",
    "container_upload": "nothing is executed here",
    "tool_reference": "tools are not searched; send them all as `tools`",
    "mid_conv_system": "send it in `system`",
}
_OF_SERVER_TOOLS = "no tool is run here; leave out what Anthropic's own tools said"


@dataclass(slots=True)
class Conversation:
    """Messages of a chat completion, and what of the request they do not have."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    #: The last message is the assistant's: the answer goes on with it.
    goes_on: bool = False
    #: Names of what was let pass, each once.
    ignored: dict[str, None] = field(default_factory=dict)


def read(system: Any, turns: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation of turns that `TurnSchema` has loaded.

    Raises:
        ValidationFailed: a block is wrong, or calls and results do not go together.
        UnsupportedParameter: a block holds what is not read here.
    """
    made = Conversation()
    if system:
        told = _texts(_blocks("system", system), made)
        made.messages.append({"role": "system", "content": told})
    open_calls: dict[str, str] = {}
    for role, group in itertools.groupby(enumerate(turns), key=lambda turn: turn[1]["role"]):
        blocks = [
            block
            for position, turn in group
            for block in _blocks(f"messages.{position}.content", turn["content"])
        ]
        if role == "assistant":
            open_calls = _add_assistant(made, blocks)
        else:
            _add_user(made, blocks, open_calls)
            open_calls = {}
    if open_calls:
        raise _without_result(open_calls)
    made.goes_on = made.messages[-1]["role"] == "assistant"
    return made


def _add_assistant(made: Conversation, blocks: Iterable[Block]) -> dict[str, str]:
    """Add the assistant's turn; returns the ids of its calls, and where they stand."""
    said: list[Block] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    places: dict[str, str] = {}
    for path, block in blocks:
        match _kind(path, block):
            case "text":
                said.append((path, block))
            case "thinking":
                thoughts.append(_string(path, block, "thinking"))
            case "redacted_thinking":
                made.ignored["redacted_thinking"] = None
            case "tool_use":
                call = _call(path, block)
                if call["id"] in places:
                    raise invalid(f"{path}.id", "is that of an earlier call: each has its own")
                calls.append(call)
                places[call["id"]] = path
                _note(made, block)
            case kind:
                raise _refused(path, kind)
    turn: dict[str, Any] = {"role": "assistant", "content": _texts(said, made) or None}
    if thoughts:
        turn["reasoning_content"] = "\n".join(thoughts)
    if calls:
        turn["tool_calls"] = calls
    made.messages.append(turn)
    return places


def _add_user(made: Conversation, blocks: Iterable[Block], open_calls: dict[str, str]) -> None:
    """Add the results of the calls before it, then what the user says."""
    said: list[Block] = []
    waiting = dict(open_calls)
    for path, block in blocks:
        kind = _kind(path, block)
        if kind == "text":
            said.append((path, block))
        elif kind == "tool_result":
            if said:
                raise invalid(path, "stands after a text: results of tools come first in a turn")
            call_id = _string(path, block, "tool_use_id")
            if waiting.pop(call_id, None) is None:
                raise invalid(
                    f"{path}.tool_use_id", "is of no call in the turn before it that has no result"
                )
            result = {"role": "tool", "tool_call_id": call_id}
            made.messages.append({**result, "content": _result(path, block, made)})
            _note(made, block)
        else:
            raise _refused(path, kind)
    if waiting:
        raise _without_result(waiting)
    if said or not open_calls:
        made.messages.append({"role": "user", "content": _texts(said, made)})


def _result(path: str, block: Mapping[str, Any], made: Conversation) -> str:
    """What a tool said; that it failed is said in words, since templates have no mark for it."""
    content = block.get("content")
    text = _texts(_blocks(f"{path}.content", content), made) if content is not None else ""
    return f"Error: {text}" if block.get("is_error") else text


def _texts(blocks: Iterable[Block], made: Conversation) -> str:
    """Text blocks, joined by line breaks as parts of chat completions are."""
    texts = []
    for path, block in blocks:
        if (kind := _kind(path, block)) != "text":
            raise _refused(path, kind)
        texts.append(_string(path, block, "text"))
        _note(made, block)
    return "\n".join(texts)


def _note(made: Conversation, block: Mapping[str, Any]) -> None:
    for name in ("cache_control", "citations"):
        if block.get(name):
            made.ignored[name] = None


def _call(path: str, block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = block.get("input")
    if not isinstance(arguments, dict):
        raise invalid(f"{path}.input", "must be an object")
    called = {"name": _string(path, block, "name"), "arguments": json.dumps(arguments)}
    return {"id": _string(path, block, "id"), "type": "function", "function": called}


def _blocks(path: str, content: Any) -> Iterator[Block]:
    """The blocks of a content, each with its place."""
    if isinstance(content, str):
        yield path, {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from ((f"{path}.{position}", block) for position, block in enumerate(content))
    else:
        raise invalid(path, "must be a string or a list of content blocks")


def _kind(path: str, block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise invalid(path, 'must be a content block, such as {"type": "text", "text": "..."}')
    return kind


def _string(path: str, block: Mapping[str, Any], name: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise invalid(f"{path}.{name}", "must be a string" if name in block else "is missing")
    return value


def _refused(path: str, kind: str) -> UnsupportedParameter:
    why = _REFUSED.get(kind)
    if why is None:
        known = kind in ("tool_use", "tool_result", "thinking", "redacted_thinking")
        why = "it does not stand here" if known else _OF_SERVER_TOOLS
    return UnsupportedParameter(
        f"{path}: blocks of type {excerpt(kind)!r} are not supported: {why}.",
        details={"param": path},
    )


def _without_result(calls: Mapping[str, str]) -> Exception:
    call_id, path = next(iter(calls.items()))
    return invalid(
        path,
        f"calls a tool, and no tool_result of {excerpt(call_id)!r} follows in the next turn",
    )
