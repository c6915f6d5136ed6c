"""What Anthropic's API answers: JSON Schemas for the API's description, each with an example."""

from __future__ import annotations

from web.operation import Component

MESSAGES_ERROR = Component(
    "AnthropicError",
    {
        "type": "object",
        "required": ["type", "error", "request_id"],
        "properties": {
            "type": {"type": "string", "const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message", "code", "details"],
                "properties": {
                    "type": {"type": "string"},
                    "message": {"type": "string"},
                    "code": {"type": "string"},
                    "details": {"type": "object"},
                },
            },
            "request_id": {"type": ["string", "null"]},
        },
    },
)
MESSAGE = Component(
    "AnthropicMessage",
    {
        "type": "object",
        "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
        "properties": {
            "id": {"type": "string"},
            "type": {"type": "string", "const": "message"},
            "role": {"type": "string", "const": "assistant"},
            "model": {"type": "string"},
            "content": {
                "type": "array",
                "items": {"type": "object", "required": ["type"]},
            },
            "stop_reason": {
                "type": "string",
                "enum": [
                    "end_turn",
                    "max_tokens",
                    "stop_sequence",
                    "tool_use",
                    "model_context_window_exceeded",
                ],
            },
            "stop_sequence": {"type": ["string", "null"]},
            "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]},
        },
    },
    example={
        "id": "chatcmpl-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "type": "message",
        "role": "assistant",
        "model": "smollm2-135m",
        "content": [{"type": "text", "text": "The capital of France is Paris."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 15,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 22,
            "output_tokens": 8,
            "output_tokens_details": {"thinking_tokens": 0},
            "service_tier": "standard",
        },
    },
)
COUNT = Component(
    "MessageTokens",
    {
        "type": "object",
        "required": ["input_tokens"],
        "properties": {"input_tokens": {"type": "integer", "minimum": 0}},
    },
    example={"input_tokens": 37},
)
