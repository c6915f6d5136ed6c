"""A request of Anthropic's API as the body of a chat completion: from there on it is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from web.schemas import messages, unknown_parameters
from web.schemas.anthropic import conversation, message_schema
from web.schemas.anthropic.message_schema import CountSchema, MessagesSchema, OfferedToolSchema
from web.schemas.anthropic.parameters import TABLE
from web.schemas.places import Places
from web.schemas.refusals import excerpt, invalid
from workers.contract.errors import InferenceError, UnsupportedParameter

#: The versions of Anthropic's API that are spoken here. They have the same answers; the newer one
#: has no `temperature`, `top_p` and `top_k`, which models here take in both.
VERSIONS = ("2023-06-01", "2026-10-21")
#: Where their clients stop to call an effort low, and medium: the budgets of LiteLLM and others.
_LOW, _MEDIUM = 2048, 8192
#: Fields of a tool that would change what the model reads -> what to do instead.
_TOOL_FIELDS = {
    "defer_loading": "tools are not searched; send those that may be called",
    "input_examples": "write them into the description",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
#: Where a chat completion's field is that of the request.
PLACES = Places(
    (r"tools\.(\d+)\.function\.parameters", r"tools.\1.input_schema"),
    (r"tools\.(\d+)\.function", r"tools.\1"),
    (r"response_format\.json_schema", "output_config.format"),
    (r"messages\.\d+[\w.]*|continue_final_message", "messages"),
)


@dataclass(frozen=True, slots=True)
class Translated:
    """The body of a chat completion."""

    body: dict[str, Any]
    #: Names of what was let pass and changes nothing.
    ignored: tuple[str, ...]
    #: What is not held to the letter, in words.
    relaxed: tuple[str, ...]
    #: Thoughts are part of the answer.
    shows_thoughts: bool


def require_version(version: str | None) -> None:
    """Refuse another version of the API, which may have other answers.

    Raises:
        ValidationFailed: the header `anthropic-version` names one.
    """
    if version is not None and version not in VERSIONS:
        known = " or ".join(VERSIONS)
        raise invalid("anthropic-version", f"must be {known}, not {excerpt(version)!r}")


def of_messages(body: Mapping[str, Any], most_messages: int) -> Translated:
    """The chat completion of a request for a message; `most_messages` is INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not here.
    """
    return _translated(body, MessagesSchema(), most_messages)


def of_count(body: Mapping[str, Any], most_messages: int) -> dict[str, Any]:
    """The body of `/v1/tokenize` for a conversation whose tokens are counted.

    Raises:
        InferenceError: as `of_messages`.
    """
    chat = _translated(body, CountSchema(), most_messages, MessagesSchema().fields).body
    if chat.get("tool_choice") == "none":
        chat.pop("tools", None)
    names = ("model", "messages", "tools", "chat_template_kwargs", "continue_final_message")
    return {name: chat[name] for name in names if name in chat}


def _translated(
    body: Mapping[str, Any], schema: CountSchema, most_messages: int, harmless: Any = ()
) -> Translated:
    known, ignored = unknown_parameters.sort_out(
        body, schema.fields, frozenset(harmless) - {*schema.fields}, table=TABLE
    )
    messages.require_few(known.get("messages"), most_messages)
    data = schema.read(known)
    read = conversation.read(data.get("system"), data["messages"])
    chat = {name: data[name] for name in message_schema.SAME if data.get(name) is not None}
    chat["messages"] = read.messages
    if read.goes_on:
        chat["continue_final_message"] = True
    if stop := data.get("stop_sequences"):
        chat["stop"] = list(stop)
    if user := (data.get("metadata") or {}).get("user_id"):
        chat["user"] = user
    thinking = data.get("thinking") or {}
    if variables := _template_variables(thinking, data):
        chat["chat_template_kwargs"] = variables
    if form := (data.get("output_config") or {}).get("format"):
        chat["response_format"] = message_schema.json_schema_of(form["schema"])
    chat |= _tools(data)
    relaxed: tuple[str, ...] = ()
    if "budget_tokens" in thinking:
        relaxed = ("thinking.budget_tokens chooses the effort and bounds nothing",)
    return Translated(
        chat,
        (*ignored, *read.ignored),
        relaxed,
        shows_thoughts=thinking.get("display") != "omitted",
    )


def _template_variables(thinking: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """What the chat template is told of thinking; nothing where the request says nothing of it."""
    kind, budget = thinking.get("type"), thinking.get("budget_tokens")
    effort = (data.get("output_config") or {}).get("effort")
    if kind == "disabled":
        return {"enable_thinking": False, "thinking": False, "reasoning_effort": "none"}
    if kind == "enabled":
        if budget is None:
            raise invalid("thinking.budget_tokens", "is missing")
        most = data.get("max_tokens")
        if most is not None and budget >= most:
            raise invalid("thinking.budget_tokens", f"must be below max_tokens, which is {most}")
        effort = effort or _effort(budget)
    switch = {} if kind is None else {"enable_thinking": True, "thinking": True}
    named = {"reasoning_effort": "xhigh" if effort == "max" else effort} if effort else {}
    return {**switch, **named}


def _effort(budget: int) -> str:
    if budget <= _LOW:
        return "low"
    return "medium" if budget <= _MEDIUM else "high"


def _tools(data: Mapping[str, Any]) -> dict[str, Any]:
    given = data.get("tools") or ()
    choice = data.get("tool_choice")
    chat: dict[str, Any] = {}
    if given:
        chat["tools"] = [_tool(f"tools.{place}", tool) for place, tool in enumerate(given)]
    if choice is None:
        return chat
    if choice["type"] == "tool":
        if not choice.get("name"):
            raise invalid("tool_choice.name", "is missing")
        chat["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    else:
        chat["tool_choice"] = _CHOICES[choice["type"]]
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False
    return chat


def _tool(path: str, tool: Mapping[str, Any]) -> dict[str, Any]:
    kind = tool.get("type") or "custom"
    if kind != "custom":
        raise UnsupportedParameter(
            f"{path}.type: tools of type {excerpt(str(kind))!r} are Anthropic's own; send one with "
            "name and input_schema, and run it yourself.",
            details={"param": f"{path}.type"},
        )
    for name, instead in _TOOL_FIELDS.items():
        if tool.get(name):
            raise UnsupportedParameter(
                f"{path}.{name} is not supported: {instead}.", details={"param": f"{path}.{name}"}
            )
    if (tool.get("allowed_callers") or ["direct"]) != ["direct"]:
        raise UnsupportedParameter(
            f"{path}.allowed_callers is not supported: the model alone calls tools.",
            details={"param": f"{path}.allowed_callers"},
        )
    try:
        read = OfferedToolSchema().read(tool)
    except InferenceError as error:
        raise _below(path, error) from None
    function = {name: read[name] for name in ("name", "description", "strict") if name in read}
    return {"type": "function", "function": {**function, "parameters": read["input_schema"]}}


def _below(path: str, error: InferenceError) -> InferenceError:
    """A fault of an item, with the item's place before it."""
    param = f"{path}.{error.details['param']}"
    return type(error)(f"{path}.{error.message}", details={**error.details, "param": param})
