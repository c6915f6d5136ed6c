"""What the Responses API answers: JSON Schemas for its description, each with an example."""

from __future__ import annotations

from web.operation import Component

_ID = "resp_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33"
_ITEM = {"type": "object", "required": ["id", "type"]}
RESPONSE = Component(
    "Response",
    {
        "type": "object",
        "required": ["id", "object", "created_at", "status", "model", "output", "usage"],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "response"},
            "created_at": {"type": "integer"},
            "status": {
                "type": "string",
                "enum": [
                    "queued",
                    "in_progress",
                    "completed",
                    "incomplete",
                    "failed",
                    "cancelled",
                ],
            },
            "error": {"type": ["object", "null"]},
            "incomplete_details": {"type": ["object", "null"]},
            "model": {"type": "string"},
            "output": {"type": "array", "items": _ITEM},
            "usage": {"type": ["object", "null"]},
        },
    },
    example={
        "id": _ID,
        "object": "response",
        "created_at": 1790000000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "smollm2-135m",
        "output": [
            {
                "id": "msg_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33_0",
                "type": "message",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "The capital of France is Paris.",
                        "annotations": [],
                        "logprobs": [],
                    }
                ],
                "role": "assistant",
            }
        ],
        "usage": {
            "input_tokens": 37,
            "input_tokens_details": {"cached_tokens": 22, "cache_write_tokens": 0},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 45,
        },
    },
)
DELETED = Component(
    "ResponseDeleted",
    {
        "type": "object",
        "required": ["id", "object", "deleted"],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "response"},
            "deleted": {"type": "boolean", "const": True},
        },
    },
    example={"id": _ID, "object": "response", "deleted": True},
)
INPUT_ITEMS = Component(
    "InputItems",
    {
        "type": "object",
        "required": ["object", "data", "first_id", "last_id", "has_more"],
        "properties": {
            "object": {"type": "string", "const": "list"},
            "data": {"type": "array", "items": _ITEM},
            "first_id": {"type": ["string", "null"]},
            "last_id": {"type": ["string", "null"]},
            "has_more": {"type": "boolean"},
        },
    },
    example={
        "object": "list",
        "data": [
            {
                "id": "in_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33_0",
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What is the capital of France?"}],
                "status": "completed",
            }
        ],
        "first_id": "in_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33_0",
        "last_id": "in_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33_0",
        "has_more": False,
    },
)
