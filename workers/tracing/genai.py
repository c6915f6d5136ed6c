"""Attributes of a model's work, by OpenTelemetry's conventions for generative AI.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/, "Inference". What only
this service has begins with `inference.`.
"""

from __future__ import annotations

import json
from typing import Any

from workers.contract.job import Api, Job, Message
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment, StepRequest, Usage, choice_of
from workers.tracing.span import Attribute

#: Who runs the models.
PROVIDER = "inference-service"
#: Characters of messages or of an answer that a span has, where it has them.
MOST_CONTENT = 65_536

#: `gen_ai.operation.name`, of spans and of metrics.
_OPERATIONS = {
    Api.CHAT: "chat",
    Api.TEXT: "text_completion",
    Api.INFILL: "text_completion",
    Api.EMBEDDINGS: "embeddings",
    Api.RERANK: "rerank",
}


def operation(job: Job) -> str:
    """What a job's models do."""
    return _OPERATIONS[job.api]


def of_step(job: Job, request: StepRequest, attempt: int) -> dict[str, Attribute]:
    """Which step of which job it is."""
    return {
        "gen_ai.operation.name": operation(job),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": request.model,
        "gen_ai.response.id": job.id,
        "gen_ai.response.model": request.model,
        "inference.mode": job.mode,
        "inference.step": request.step,
        "inference.part": request.part,
        "inference.attempt": attempt,
        "inference.priority": job.priority.value,
    }


def of_sampling(sampling: Sampling) -> dict[str, Attribute]:
    """How its tokens are chosen; stop strings are a caller's text."""
    given = {
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": sampling.top_k,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
    }
    return {name: value for name, value in given.items() if value is not None}


def of_end(finish_reason: str, usage: Usage | None) -> dict[str, Attribute]:
    """How it ended, and the tokens that it took."""
    ended: dict[str, Attribute] = {"gen_ai.response.finish_reasons": [finish_reason]}
    if usage is not None:
        ended |= {
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    return ended


def content(
    job: Job, request: StepRequest, assignment: Assignment | None, text: str, finish_reason: str
) -> dict[str, Attribute]:
    """What the model was asked and what it said, each up to `MOST_CONTENT` characters."""
    prompt = job.prompt_of(choice_of(request.step)) if assignment is None else None
    if job.encoder_request is not None:
        asked = [{"role": "user", "parts": [_text(text) for text in job.encoder_request.texts]}]
    elif prompt is not None:
        asked = [{"role": "user", "parts": [_text(_prompt(prompt))]}]
    else:
        messages = job.messages if assignment is None else assignment.messages
        asked = [_message(message) for message in messages]
    said = {"role": "assistant", "parts": [_text(text)], "finish_reason": finish_reason}
    return {"gen_ai.input.messages": _dump(asked), "gen_ai.output.messages": _dump([said])}


def _message(message: Message) -> dict[str, Any]:
    parts = [_text(message.content)] if message.content else []
    parts += [{"type": "tool_call", **call} for call in message.tool_calls or ()]
    return {"role": message.role, "parts": parts}


def _prompt(prompt: Prompt) -> str:
    return prompt.text if prompt.token_ids is None else str(list(prompt.token_ids))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text[:MOST_CONTENT]}


def _dump(messages: list[dict[str, Any]]) -> str:
    return json.dumps(messages, ensure_ascii=False)[:MOST_CONTENT]
