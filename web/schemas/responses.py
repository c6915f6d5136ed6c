"""What several endpoints answer: JSON Schemas for the API's description, each with an example."""

from __future__ import annotations

from web.errors import STATUS
from web.operation import Component
from workers.contract.job import JobState
from workers.contract.step import Timings

ERROR = Component(
    "Error",
    {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "type", "param", "provider", "details"],
                "properties": {
                    "code": {"type": "string", "enum": sorted(STATUS)},
                    "message": {"type": "string"},
                    "type": {"type": "string", "enum": ["retriable", "non_retriable"]},
                    "param": {"type": ["string", "null"]},
                    "provider": {"type": "string", "const": "inference-service"},
                    "details": {"type": "object"},
                },
            }
        },
    },
)
#: Milliseconds of the parts of an answer; see `workers.contract.step.Timings`.
TIMINGS_MS = {
    "type": "object",
    "required": list(Timings().rounded()),
    "properties": {part: {"type": "number", "minimum": 0} for part in Timings().rounded()},
}
_FUNCTION = {
    "type": "object",
    "required": ["name", "arguments"],
    "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}},
}
_CALL = {
    "type": "object",
    "required": ["id", "type", "function"],
    "properties": {
        "id": {"type": "string"},
        "type": {"type": "string", "const": "function"},
        "function": _FUNCTION,
    },
}
_CHOICE = {
    "type": "object",
    "required": ["index", "message", "logprobs", "finish_reason"],
    "properties": {
        "index": {"type": "integer"},
        "message": {
            "type": "object",
            "required": ["role", "content", "refusal"],
            "properties": {
                "role": {"type": "string", "const": "assistant"},
                "reasoning_content": {"type": "string"},
                "content": {"type": ["string", "null"]},
                "tool_calls": {"type": "array", "minItems": 1, "items": _CALL},
                "function_call": _FUNCTION,
                "refusal": {"type": "null"},
            },
        },
        "logprobs": {
            "type": ["object", "null"],
            "properties": {
                "content": {"type": "array", "items": {"type": "object"}},
                "refusal": {"type": "null"},
            },
        },
        "finish_reason": {"type": "string"},
    },
}
#: Of requests that only read.
READING_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "total_tokens"],
    "properties": {
        "prompt_tokens": {"type": "integer", "minimum": 0},
        "total_tokens": {"type": "integer", "minimum": 0},
    },
}
COMPLETION = Component(
    "ChatCompletion",
    {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": {"type": "string", "pattern": "^chatcmpl-"},
            "object": {"type": "string", "const": "chat.completion"},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "choices": {"type": "array", "minItems": 1, "items": _CHOICE},
            "usage": {"type": "object"},
            "service_tier": {"type": "string", "enum": ["flex", "default", "priority"]},
            "timings_ms": TIMINGS_MS,
            "orchestration": {"type": "object"},
            "inference_metadata": {"type": "object"},
        },
    },
    example={
        "id": "chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "smollm2-135m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The capital of France is Paris.",
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 37,
            "completion_tokens": 8,
            "total_tokens": 45,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "orchestration": {"mode": "single", "models_used": ["smollm2-135m"], "rounds": 1},
        "inference_metadata": {
            "config": None,
            "orchestration_mode": "single",
            "models_used": ["smollm2-135m"],
            "handoff_steps": 0,
            "compression_applied": False,
            "context_utilization": 0.01,
        },
    },
)
TEXT_COMPLETION = Component(
    "TextCompletion",
    {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": {"type": "string", "pattern": "^cmpl-"},
            "object": {"type": "string", "const": "text_completion"},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "choices": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["text", "index", "logprobs", "finish_reason"],
                    "properties": {
                        "text": {"type": "string"},
                        "index": {"type": "integer"},
                        "logprobs": {"type": ["object", "null"]},
                        "finish_reason": {"type": "string"},
                    },
                },
            },
            "usage": {"type": "object"},
            "timings_ms": TIMINGS_MS,
            "orchestration": {"type": "object"},
            "inference_metadata": {"type": "object"},
        },
    },
    example={
        **COMPLETION.example,
        "id": "cmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "object": "text_completion",
        "choices": [
            {
                "text": " Paris, a city of two million people.",
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    },
)
INFILL = Component(
    "Infill",
    {
        "type": "object",
        "required": ["content", "stop", "model", "tokens_predicted", "tokens_evaluated", "timings"],
        "properties": {
            "index": {"type": "integer"},
            "content": {"type": "string"},
            "tokens": {"type": "array"},
            "model": {"type": "string"},
            "stop": {"type": "boolean"},
            "stop_type": {"type": "string", "enum": ["eos", "limit", "none"]},
            "tokens_predicted": {"type": "integer"},
            "tokens_evaluated": {"type": "integer"},
            "tokens_cached": {"type": "integer"},
            "timings": {"type": "object"},
        },
    },
    example={
        "index": 0,
        "content": "return a + b",
        "tokens": [],
        "model": "qwen2.5-coder-7b",
        "stop": True,
        "stop_type": "eos",
        "stopping_word": "",
        "truncated": False,
        "has_new_line": False,
        "tokens_predicted": 4,
        "tokens_evaluated": 21,
        "tokens_cached": 0,
        "timings": {"prompt_n": 21, "prompt_ms": 61.3, "predicted_n": 4, "predicted_ms": 40.1},
    },
)
JOB = Component(
    "Job",
    {
        "type": "object",
        "required": ["id", "object", "state", "model", "priority", "created"],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "job"},
            "state": {"type": "string", "enum": list(JobState)},
            "position": {"type": "integer", "minimum": 1},
            "estimated_wait_s": {"type": "number", "minimum": 0},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "store": {"type": "boolean"},
            "user": {"type": "string"},
            "service_tier": {"type": "string"},
            "result": {"anyOf": [COMPLETION.ref, TEXT_COMPLETION.ref]},
            "deleted": {"type": "boolean", "const": True},
        },
    },
    example={
        "id": "chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "object": "job",
        "state": "queued",
        "model": "smollm2-135m",
        "priority": 2,
        "created": 1790000000,
        "status_url": "/v1/jobs/chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "events_url": "/v1/jobs/chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33/events",
        "position": 1,
        "estimated_wait_s": 0.0,
    },
)
JOBS = Component(
    "Jobs",
    {
        "type": "object",
        "required": ["object", "data", "has_more"],
        "properties": {"data": {"type": "array", "items": JOB.ref}},
    },
    example={
        "object": "list",
        "data": [
            {
                "id": "chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
                "object": "job",
                "state": "completed",
                "model": "smollm2-135m",
                "priority": 2,
                "created": 1790000000,
                "ended": 1790000002,
            }
        ],
        "has_more": False,
    },
)
