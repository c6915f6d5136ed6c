"""From contract events to the bodies of the OpenAI API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.contract.events import Assessed, Completed, Event, Started, StepFinished, Token
from workers.contract.job import Job
from workers.contract.step import Usage, is_answer


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of a plain answer, from all events of a job that has completed.

    `reasoning_content` is what the model thought before this answer; left out where it did not.
    """
    tokens: list[Token] = []
    completed = None
    for event in events:
        if isinstance(event, Token) and is_answer(event.step):
            tokens.append(event)
        elif isinstance(event, Completed):
            completed = event
    if completed is None:
        raise ValueError(f"{job.id} has not completed")
    outcome = completed.outcome
    reasoning = "".join(token.reasoning for token in tokens)
    thought = {"reasoning_content": reasoning} if reasoning else {}
    text = "".join(token.text for token in tokens)
    return {
        "id": job.id,
        "object": "chat.completion",
        "created": job.created,
        "model": job.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", **thought, "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": outcome.finish_reason,
            }
        ],
        "usage": usage(outcome.usage),
        **_about(job, completed),
    }


def delta(token: Token) -> dict[str, str]:
    """What a token adds to the answer; empty where it shows nothing yet."""
    parts = {"reasoning_content": token.reasoning, "content": token.text}
    return {name: text for name, text in parts.items() if text}


def chunk(job: Job, delta: dict[str, str]) -> dict[str, Any]:
    """A frame of a stream, with a part of the answer."""
    return _chunk(job, [_choice(delta, None)])


def last_chunk(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame that says how the answer ended."""
    choice = _choice({}, completed.outcome.finish_reason)
    return {**_chunk(job, [choice]), **_about(job, completed)}


def usage_chunk(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame with the usage, for those who asked for it."""
    return {**_chunk(job, []), "usage": usage(completed.outcome.usage)}


def step_chunk(job: Job, event: Event) -> dict[str, Any] | None:
    """The frame that says what a step does, for those who asked for it; None for other events."""
    match event:
        case Started():
            described = {
                "event": "step_started",
                "step": event.step,
                "model": event.model,
                "role": event.part,
                "attempt": event.attempt,
            }
        case Token() if not is_answer(event.step):
            described = {"event": "step_tokens", "step": event.step, "text": event.text}
            if event.reasoning:
                described["reasoning_content"] = event.reasoning
        case StepFinished(outcome=ended):
            described = {
                "event": "step_finished",
                "step": ended.step,
                "model": ended.model,
                "finish_reason": ended.finish_reason,
                "usage": usage(ended.usage),
            }
            if ended.error is not None:
                described["error"] = {
                    "code": ended.error["code"],
                    "message": ended.error["message"],
                }
        case Assessed():
            described = {"event": "step_assessed", "step": event.step, **event.findings}
        case _:
            return None
    return {**_chunk(job, []), "orchestration": described}


def usage(used: Usage) -> dict[str, Any]:
    """Tokens, as the engine counted them."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def routing(job: Job) -> dict[str, Any]:
    """How the job's model was chosen; nothing where its caller named it."""
    return {} if job.routing is None else {"routing": dict(job.routing)}


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(job: Job, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": job.id,
        "object": "chat.completion.chunk",
        "created": job.created,
        "model": job.model,
        "choices": choices,
    }


def _about(job: Job, completed: Completed) -> dict[str, Any]:
    """How the answer came about. What nothing measured is left out."""
    outcome = completed.outcome
    report = completed.report or {"mode": job.mode, "models_used": [outcome.model], "rounds": 1}
    return {
        "orchestration": report,
        "inference_metadata": {
            "config": job.preset,
            "orchestration_mode": job.mode,
            "models_used": report["models_used"],
            "handoff_steps": max(0, len(report.get("steps", ())) - 1),
            "compression_applied": False,
            "context_utilization": round(outcome.usage.total_tokens / outcome.context_length, 2),
            **routing(job),
        },
    }
