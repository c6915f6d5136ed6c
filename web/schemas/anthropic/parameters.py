"""Parameters of Anthropic's API that do nothing here: refused by name, or let pass and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas.parameters import Parameter

ANTHROPIC = "Anthropic"
#: What agents send whose context has nothing that is to be cleared.
_KEEPS_ALL = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
_NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {})


def _refused(name: str, reason: str, *neutral: Any) -> Parameter:
    return Parameter(name, (ANTHROPIC,), True, reason, (*_NOTHING, *neutral))


def _ignored(name: str, reason: str) -> Parameter:
    return Parameter(name, (ANTHROPIC,), False, reason, (None,))


_ROWS = (
    _refused("container", "nothing is executed here"),
    _refused("mcp_servers", "servers of tools are not called; send their tools as `tools`"),
    _refused(
        "context_management",
        "nothing of a conversation is cleared; send `compression`, or a shorter one",
        {"edits": []},
        _KEEPS_ALL,
    ),
    _refused("compaction", "send `compression`"),
    _refused("thread", "conversations are not kept; send all of it as `messages`"),
    _refused("output_format", "send `output_config.format`"),
    _refused("fallbacks", "the model that is named answers, or its error comes"),
    _ignored("cache_control", "beginnings are known again by what they say, without it"),
    _ignored("inference_geo", "answers are made where the service runs"),
    _ignored("speed", "there is one speed"),
    _ignored("diagnostics", "docs/OBSERVE.md has what is told of requests"),
    _ignored("fallback_credit_token", "nothing is billed"),
    _ignored("billing_policy", "nothing is billed"),
    _ignored("betas", "send the header `anthropic-beta`, which is let pass, too"),
    _ignored("workspace_id", "keys are the only tenants"),
    _ignored("user_profile_id", "send `metadata.user_id`"),
)
#: Name -> the parameter.
TABLE: Mapping[str, Parameter] = {row.name: row for row in _ROWS}
