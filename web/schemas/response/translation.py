"""A request of the Responses API as the body of a chat completion: from there on it is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from web.schemas import messages, unknown_parameters
from web.schemas.places import Places
from web.schemas.refusals import excerpt, header_safe, invalid
from web.schemas.response import items, response_schema
from web.schemas.response.parameters import TABLE
from web.schemas.response.response_schema import (
    LOGPROBS,
    TRUNCATIONS,
    OfferedFunctionSchema,
    ResponseSchema,
)
from workers.contract.errors import InferenceError, UnsupportedParameter

#: Goes with `background` alone.
_OF_JOBS = ("deadline_s", "webhook")
_WORDS = ("none", "auto", "required")
#: Where a chat completion's field is that of the request.
PLACES = Places(
    (r"tools\.(\d+)\.function", r"tools.\1"),
    (r"response_format\.json_schema", "text.format"),
    (r"messages\.\d+[\w.]*|messages", "input"),
    (r"max_tokens", "max_output_tokens"),
    (r"compression", "truncation"),
)


@dataclass(frozen=True, slots=True)
class Translated:
    """A request for a response, and what of it a chat completion has no words for."""

    #: Of a chat completion, without messages.
    body: dict[str, Any]
    input: str | list[Any]
    instructions: str | None
    previous_id: str | None
    background: bool
    stream: bool
    store: bool
    #: Names of what was let pass and changes nothing.
    ignored: tuple[str, ...]
    #: What the response repeats.
    shown: dict[str, Any]

    def chat(
        self,
        before: Sequence[Mapping[str, Any]] = (),
        output: Sequence[Mapping[str, Any]] = (),
        referenced: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """The body of the chat completion that goes on after messages and output items;
        `referenced` as in `items.read`.

        Raises:
            InferenceError: as `items.read`.
        """
        said = items.read(self.input, before, output, referenced)
        if self.instructions is not None:
            said = [{"role": "system", "content": self.instructions}, *said]
        return {**self.body, "messages": said}


def of_response(body: Mapping[str, Any], most_messages: int) -> Translated:
    """The chat completion of a request; `most_messages` is INFERENCE_MAX_MESSAGES.

    Raises:
        ValidationFailed: a field is missing or wrong, or two do not go together; names one.
        UnsupportedParameter: it asks for what is not here.
    """
    schema = ResponseSchema()
    known, ignored = unknown_parameters.sort_out(
        body, {*schema.fields}, frozenset(_OF_JOBS) - {*schema.fields}, table=TABLE
    )
    data = schema.read(known)
    try:
        messages.require_few(data["input"], most_messages)
    except InferenceError as error:
        raise PLACES.renamed(error) from None
    background, store = bool(data.get("background")), data.get("store") is not False
    if background and not store:
        raise invalid("background", "goes only with store: a response in the background is kept")
    for name in _OF_JOBS:
        if data.get(name) is not None and not background:
            raise invalid(name, "goes only with background: true")
    chat = {name: data[name] for name in response_schema.SAME if data.get(name) is not None}
    chat |= {"store": store, **_sampling(data), **_tools(data)}
    return Translated(
        chat,
        data["input"],
        data.get("instructions"),
        data.get("previous_response_id"),
        background,
        bool(data.get("stream")),
        store,
        (*ignored, *_let_pass(data)),
        _shown(data, background),
    )


def _sampling(data: Mapping[str, Any]) -> dict[str, Any]:
    """What holds and ends the answer."""
    chat: dict[str, Any] = {}
    if (most := data.get("max_output_tokens")) is not None:
        chat["max_tokens"] = most
    if data.get("top_logprobs") or LOGPROBS in (data.get("include") or ()):
        chat |= {"logprobs": True, "top_logprobs": data.get("top_logprobs") or 0}
    if effort := (data.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    if truncation := data.get("truncation"):
        chat["compression"] = TRUNCATIONS[truncation]
    form = (data.get("text") or {}).get("format")
    if form is not None:
        chat["response_format"] = {"type": form["type"]}
        if form["type"] == "json_schema":
            if "schema" not in form:
                raise invalid("text.format.schema", "is missing")
            named = {name: form[name] for name in ("name", "strict", "schema") if name in form}
            chat["response_format"]["json_schema"] = named
    return chat


def _tools(data: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    if given := data.get("tools"):
        chat["tools"] = [_tool(f"tools.{at}", tool) for at, tool in enumerate(given)]
    if (choice := data.get("tool_choice")) is not None:
        chat["tool_choice"] = _choice(choice)
    if (parallel := data.get("parallel_tool_calls")) is not None:
        chat["parallel_tool_calls"] = parallel
    return chat


def _tool(path: str, tool: Mapping[str, Any]) -> dict[str, Any]:
    kind = tool.get("type")
    if isinstance(kind, str) and kind != "function":
        raise UnsupportedParameter(
            f"{path}.type: tools of type {excerpt(kind)!r} are not run here; send functions, and "
            "run them yourself.",
            details={"param": f"{path}.type"},
        )
    try:
        read = OfferedFunctionSchema().read(tool)
    except InferenceError as error:
        param = f"{path}.{error.details['param']}"
        raise type(error)(
            f"{path}.{error.message}", details={**error.details, "param": param}
        ) from None
    names = ("name", "description", "parameters", "strict")
    function = {name: read[name] for name in names if read.get(name) is not None}
    return {"type": "function", "function": function}


def _choice(choice: Any) -> Any:
    """`tool_choice` as chat completions have it."""
    if choice in _WORDS:
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        named = [
            {"type": "function", "function": {"name": tool.get("name")}}
            for tool in choice["tools"]
            if isinstance(tool, dict)
        ]
        allowed = {"mode": choice.get("mode"), "tools": named}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    raise invalid(
        "tool_choice", 'must be none, auto, required, or {"type": "function", "name": "..."}'
    )


def _let_pass(data: Mapping[str, Any]) -> list[str]:
    """Parts of fields that change nothing."""
    names = [f"include.{header_safe(n)}" for n in data.get("include") or () if n != LOGPROBS]
    if (data.get("reasoning") or {}).get("summary"):
        names.append("reasoning.summary")
    if (data.get("text") or {}).get("verbosity"):
        names.append("text.verbosity")
    return names


def _shown(data: Mapping[str, Any], background: bool) -> dict[str, Any]:
    """What the response repeats of the request."""
    parallel = data.get("parallel_tool_calls")
    reasoning = data.get("reasoning") or {}
    return {
        "instructions": data.get("instructions"),
        "previous_response_id": data.get("previous_response_id"),
        "background": background,
        "tools": data.get("tools") or [],
        "tool_choice": data.get("tool_choice") or "auto",
        "parallel_tool_calls": True if parallel is None else parallel,
        "text": {"format": (data.get("text") or {}).get("format") or {"type": "text"}},
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "truncation": data.get("truncation") or "disabled",
        "top_logprobs": data.get("top_logprobs") or 0,
    }
