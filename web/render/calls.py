"""Calls as the OpenAI API shows them: whole in a message, and in the pieces of a stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.contract.job import Job
from workers.contract.tools import CallPart, join


def message(job: Job, parts: Iterable[CallPart]) -> dict[str, Any]:
    """What the pieces of an answer add to its message; nothing where it calls nothing."""
    calls = join(sorted(parts, key=lambda part: part.index))
    if not calls:
        return {}
    if _as_functions(job):
        return {"function_call": _function(calls[0])}
    return {
        "tool_calls": [
            {"id": call.id, "type": "function", "function": _function(call)} for call in calls
        ]
    }


def delta(job: Job, parts: Iterable[CallPart]) -> dict[str, Any]:
    """What these pieces add to the delta of a chunk."""
    joined = join(parts)
    if not joined:
        return {}
    if _as_functions(job):
        return {"function_call": _function(joined[0])}
    return {"tool_calls": [_piece(part) for part in joined]}


def finish_reason(job: Job, reason: str) -> str:
    """An answer's finish reason in the words of the request's form."""
    return "function_call" if reason == "tool_calls" and _as_functions(job) else reason


def _piece(part: CallPart) -> dict[str, Any]:
    first = {"id": part.id, "type": "function"} if part.id else {}
    return {"index": part.index, **first, "function": _function(part)}


def _function(part: CallPart) -> dict[str, Any]:
    return {**({"name": part.name} if part.name else {}), "arguments": part.arguments}


def _as_functions(job: Job) -> bool:
    """Whether its caller knows the older form alone, in which an answer makes one call."""
    return job.tools is not None and job.tools.as_functions
