"""A whole answer as a message of Anthropic's API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from web.render import openai
from web.render.choices import gather
from workers.contract.events import Completed, Event, Token
from workers.contract.job import Job, Priority
from workers.contract.step import Outcome, Usage
from workers.contract.tools import CallPart, join

#: Clients send a thought back only where it is signed. Nothing is read from the signature.
SIGNATURE = "inference-service"


def whole(job: Job, events: Iterable[Event], *, shows_thoughts: bool = True) -> dict[str, Any]:
    """The message, from all events of a job that has completed."""
    (choice,), completed = gather(job, events)
    return {
        **begun(job),
        "content": _blocks(choice.tokens, shows_thoughts),
        **stop(job, completed.outcome),
        "usage": usage(job, completed.outcome.usage),
        **openai.about(job, completed),
    }


def begun(job: Job) -> dict[str, Any]:
    """A message of which nothing has come."""
    return {
        "id": job.id,
        "type": "message",
        "role": "assistant",
        "model": job.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(job, Usage(0, 0)),
    }


def stop(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Why the answer ended."""
    return {"stop_reason": _reason(job, outcome), "stop_sequence": outcome.stop}


def usage(job: Job, used: Usage) -> dict[str, Any]:
    """Tokens, as the engine counted them; those that were read from the cache stand apart."""
    tier = "priority" if job.priority > Priority.NORMAL else "standard"
    return {
        "input_tokens": used.prompt_tokens - used.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": used.cached_tokens,
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"thinking_tokens": used.reasoning_tokens},
        "service_tier": tier,
    }


def delta_usage(job: Job, completed: Completed) -> dict[str, Any]:
    """Usage in the event that ends a stream, which has no tier."""
    told = usage(job, completed.outcome.usage)
    del told["service_tier"]
    return told


def tool_use(part: CallPart, called_with: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": called_with}


def _reason(job: Job, outcome: Outcome) -> str:
    if outcome.finish_reason == "tool_calls":
        return "tool_use"
    if outcome.finish_reason == "length":
        most = job.sampling.max_tokens
        cut = most is not None and outcome.usage.completion_tokens >= most
        return "max_tokens" if cut else "model_context_window_exceeded"
    return "end_turn" if outcome.stop is None else "stop_sequence"


def _blocks(tokens: Sequence[Token], shows_thoughts: bool) -> list[dict[str, Any]]:
    """Thought, text and calls; what of text comes after a call is joined to that before it."""
    blocks: list[dict[str, Any]] = []
    thought = "".join(token.reasoning for token in tokens)
    if thought and shows_thoughts:
        blocks.append({"type": "thinking", "thinking": thought, "signature": SIGNATURE})
    if text := "".join(token.text for token in tokens):
        blocks.append({"type": "text", "text": text})
    parts = sorted((part for token in tokens for part in token.calls), key=lambda part: part.index)
    blocks += [tool_use(call, _input(call.arguments)) for call in join(parts)]
    return blocks


def _input(arguments: str) -> Any:
    """The input of a call; of one that was cut, whose arguments are no JSON yet, none."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):  # the model wrote them
        return {}
