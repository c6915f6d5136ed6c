"""From contract events to the bodies of llama-server's `/infill`, as its own endpoints have them.

Source: llama.cpp, tools/server/README.md, "Result JSON" of `POST /completion`. What belongs to one
process of llama.cpp and says nothing here (slots, settings, token ids) is left out or empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from web.render import openai
from web.render.choices import gather
from workers.contract.events import Completed, Event, Token
from workers.contract.job import Job
from workers.contract.step import Outcome

#: Finish reason -> llama-server's word; a stop string is not told from the model's own end here.
_STOP_TYPES = {"stop": "eos", "length": "limit"}


def completion(job: Job, events: Iterable[Event]) -> dict[str, Any]:
    """The body of a plain answer, from all events of a job that has completed."""
    (choice,), completed = gather(job, events)
    return _end(job, completed, choice.text)


def part(token: Token, tokens: int) -> dict[str, Any]:
    """A frame of a stream; `tokens` were predicted up to it."""
    return {
        "index": 0,
        "content": token.text,
        "tokens": [],
        "stop": False,
        "tokens_predicted": tokens,
    }


def last_part(job: Job, completed: Completed) -> dict[str, Any]:
    """The frame that says how the answer ended."""
    return _end(job, completed, "")


def _end(job: Job, completed: Completed, content: str) -> dict[str, Any]:
    outcome = completed.outcome
    return {
        "index": 0,
        "content": content,
        "tokens": [],
        "model": job.model,
        "stop": True,
        "stop_type": _STOP_TYPES.get(outcome.finish_reason, "none"),
        "stopping_word": "",
        "truncated": False,
        "has_new_line": "\n" in content,
        "tokens_predicted": outcome.usage.completion_tokens,
        "tokens_evaluated": outcome.usage.prompt_tokens,
        "tokens_cached": outcome.usage.cached_tokens,
        "timings": _timings(outcome),
        "id": job.id,
        **openai.about(job, completed),
    }


def _timings(outcome: Outcome) -> dict[str, Any]:
    read = outcome.usage.prompt_tokens - outcome.usage.cached_tokens
    spent, tokens = outcome.timings, outcome.usage.completion_tokens
    return {
        "cache_n": outcome.usage.cached_tokens,
        "prompt_n": read,
        "prompt_ms": spent.prefill_ms,
        "prompt_per_token_ms": _ratio(spent.prefill_ms, read),
        "prompt_per_second": _ratio(1000 * read, spent.prefill_ms),
        "predicted_n": tokens,
        "predicted_ms": spent.decode_ms,
        "predicted_per_token_ms": _ratio(spent.decode_ms, tokens),
        "predicted_per_second": _ratio(1000 * tokens, spent.decode_ms),
    }


def _ratio(of: float, to: float) -> float:
    return round(of / to, 3) if to else 0.0
