"""The conversation of a response as input items, which its record keeps as messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workers.contract.job import Job, Message


def conversation(job: Job) -> list[dict[str, Any]]:
    """Messages of a chat completion, without the instructions: a later response has its own."""
    return [turn.to_dict() for turn in _turns(job)]


def of_job(job: Job) -> list[dict[str, Any]]:
    """The input items, oldest first, of earlier responses too where it went on with one."""
    parts = (part for turn in _turns(job) for part in _items(turn))
    job_id = job.id.removeprefix("resp_")
    return [{"id": f"in_{job_id}_{at}", **item} for at, item in enumerate(parts)]


def _turns(job: Job) -> tuple[Message, ...]:
    instructed = (job.response or {}).get("instructions") is not None
    return job.messages[1:] if instructed else job.messages


def _items(turn: Message) -> Iterator[Mapping[str, Any]]:
    done = {"status": "completed"}
    if turn.role == "tool":
        output = {"call_id": turn.tool_call_id, "output": turn.content or ""}
        yield {"type": "function_call_output", **output, **done}
        return
    if turn.reasoning_content:
        thought = {"type": "reasoning_text", "text": turn.reasoning_content}
        yield {"type": "reasoning", "summary": [], "content": [thought], **done}
    if turn.content or turn.role != "assistant" or not (turn.tool_calls or turn.reasoning_content):
        kind = "output_text" if turn.role == "assistant" else "input_text"
        part: dict[str, Any] = {"type": kind, "text": turn.content or ""}
        if turn.role == "assistant":
            part |= {"annotations": [], "logprobs": []}
        yield {"type": "message", "role": turn.role, "content": [part], **done}
    for call in turn.tool_calls or ():
        yield {"type": "function_call", "call_id": call["id"], **call["function"], **done}
