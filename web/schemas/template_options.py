"""What a caller asks of the chat template: its variables, and where the prompt ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from web.schemas.refusals import header_safe, invalid
from workers.contract.job import Message, TemplateOptions

#: `reasoning_effort` of the OpenAI API.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
#: Templates know some ten variables, most of them flags.
_MOST_VARIABLES, _MOST_BYTES, _DEEPEST = 32, 16 * 1024, 8
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: Variables that have a parameter of their own.
_OWN_PARAMETERS = frozenset(
    {"messages", "tools", "add_generation_prompt", "continue_final_message"}
)
#: Variables and functions that are the template's, and what transformers takes for itself.
_RESERVED = frozenset(
    {
        "bos_token",
        "chat_template",
        "conversation",
        "cycler",
        "dict",
        "documents",
        "eos_token",
        "joiner",
        "loop",
        "namespace",
        "raise_exception",
        "range",
        "self",
        "strftime_now",
        "tokenize",
        "unk_token",
        "pad_token",
    }
)


def read(data: Mapping[str, Any], messages: Sequence[Message]) -> TemplateOptions:
    """The options among a completion's fields.

    Raises:
        ValidationFailed: a variable is none that a caller may set, or they are too many or too
            large; or the last message cannot be continued.
    """
    variables = {**_of_effort(data.get("reasoning_effort")), **_given(data)}
    goes_on = bool(data.get("continue_final_message"))
    prompt = data.get("add_generation_prompt")
    if goes_on and prompt:
        raise invalid(
            "continue_final_message",
            "does not go with add_generation_prompt: the last message goes on, or a new one begins",
        )
    if goes_on and (messages[-1].role != "assistant" or not (messages[-1].content or "").strip()):
        raise invalid(
            "continue_final_message", "needs a last message of the assistant's that has text"
        )
    return TemplateOptions(
        variables,
        add_generation_prompt=not goes_on if prompt is None else bool(prompt),
        continue_final_message=goes_on,
    )


def _of_effort(effort: str | None) -> dict[str, Any]:
    """The variables that templates read an effort from.

    Those of gpt-oss read its name. Others have a switch, which Qwen3 calls `enable_thinking` and
    Granite and DeepSeek-V3.1 `thinking`: no effort turns it off.
    """
    if effort is None:
        return {}
    off = {"enable_thinking": False, "thinking": False} if effort == "none" else {}
    return {"reasoning_effort": effort, **off}


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = dict(data.get("chat_template_kwargs") or {})
    if len(variables) > _MOST_VARIABLES:
        raise invalid("chat_template_kwargs", f"must have at most {_MOST_VARIABLES} names")
    for name in variables:
        param = f"chat_template_kwargs.{header_safe(name)}"
        if not _NAME.fullmatch(name):
            raise invalid(param, "is no name of a variable: letters, digits and _, at most 64")
        if name in _OWN_PARAMETERS:
            raise invalid(param, f"cannot be set here: {name} is a parameter of its own")
        if name in _RESERVED:
            raise invalid(param, "cannot be set: the name is the template's own")
    if _depth(variables) > _DEEPEST:
        raise invalid("chat_template_kwargs", f"must not be nested deeper than {_DEEPEST} levels")
    if len(json.dumps(variables)) > _MOST_BYTES:
        raise invalid("chat_template_kwargs", f"must have at most {_MOST_BYTES} bytes as JSON")
    return variables


def _depth(value: Any) -> int:
    """Levels of lists and objects in each other; it looks no deeper than is allowed."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
    return depth
