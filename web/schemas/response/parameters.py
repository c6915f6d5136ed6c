"""Parameters of the Responses API that do nothing here: refused by name, or let pass and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas.parameters import OPENAI, Parameter

_NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {})


def _refused(name: str, reason: str) -> Parameter:
    return Parameter(name, (OPENAI,), True, reason, _NOTHING)


def _ignored(name: str, reason: str) -> Parameter:
    return Parameter(name, (OPENAI,), False, reason, (None,))


_ROWS = (
    _refused("conversation", "send `previous_response_id`"),
    _refused("prompt", "templates of prompts are not kept; send `input`"),
    _refused("context_management", "send `truncation`"),
    _refused("moderation", "nothing is moderated"),
    _refused("messages", "send `input`"),
    _refused("max_tokens", "send `max_output_tokens`"),
    _refused("response_format", "send `text.format`"),
    _refused("stop", "this API has none; `POST /v1/chat/completions` does"),
    _ignored("max_tool_calls", "no tool is run here"),
    _ignored("prompt_cache_key", "beginnings are known by what they say"),
    _ignored("prompt_cache_options", "beginnings are known by what they say"),
    _ignored("prompt_cache_retention", "prefixes are kept as long as there is room"),
    _ignored("safety_identifier", "send `user`"),
    _ignored("stream_options", "events have the length of their text"),
)
#: Name -> the parameter.
TABLE: Mapping[str, Parameter] = {row.name: row for row in _ROWS}
