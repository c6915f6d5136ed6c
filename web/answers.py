"""From contract events to the bodies of the OpenAI API."""

from __future__ import annotations

from typing import Any

from workers.contract.job import Job, Outcome, Usage


def completion(job: Job, text: str, outcome: Outcome) -> dict[str, Any]:
    """The body of a plain answer."""
    return {
        "id": job.id,
        "object": "chat.completion",
        "created": job.created,
        "model": job.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": outcome.finish_reason,
            }
        ],
        "usage": usage(outcome.usage),
        **_about(job, outcome),
    }


def chunk(job: Job, delta: dict[str, str]) -> dict[str, Any]:
    """A frame of a stream, with a part of the answer."""
    return _chunk(job, [{"index": 0, "delta": delta, "finish_reason": None}])


def last_chunk(job: Job, outcome: Outcome) -> dict[str, Any]:
    """The frame that says how the answer ended."""
    choice = {"index": 0, "delta": {}, "finish_reason": outcome.finish_reason}
    return {**_chunk(job, [choice]), **_about(job, outcome)}


def usage_chunk(job: Job, outcome: Outcome) -> dict[str, Any]:
    """The frame with the usage, for those who asked for it."""
    return {**_chunk(job, []), "usage": usage(outcome.usage)}


def usage(used: Usage) -> dict[str, Any]:
    """Tokens, as the engine counted them."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }


def _chunk(job: Job, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": job.id,
        "object": "chat.completion.chunk",
        "created": job.created,
        "model": job.model,
        "choices": choices,
    }


def _about(job: Job, outcome: Outcome) -> dict[str, Any]:
    """How the answer came about. What nothing measured is left out."""
    models = [outcome.model]
    return {
        "orchestration": {"mode": job.mode, "models_used": models, "rounds": 1},
        "inference_metadata": {
            "config": None,
            "orchestration_mode": job.mode,
            "models_used": models,
            "handoff_steps": 0,
            "compression_applied": False,
            "context_utilization": round(outcome.usage.total_tokens / outcome.context_length, 2),
        },
    }
