"""The shapes of what this API answers, as JSON Schemas for its description."""

from __future__ import annotations

from orchestration.loading import State
from web.errors import STATUS
from workers.contract.job import JobState

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "provider", "details"],
            "properties": {
                "code": {"type": "string", "enum": sorted(STATUS)},
                "message": {"type": "string"},
                "type": {"type": "string", "enum": ["retriable", "non_retriable"]},
                "provider": {"type": "string", "const": "inference-service"},
                "details": {"type": "object"},
            },
        }
    },
}
COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string", "pattern": "^chatcmpl-"},
        "object": {"type": "string", "const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "usage": {"type": "object"},
        "orchestration": {"type": "object"},
        "inference_metadata": {"type": "object"},
    },
}
MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"type": "string", "const": "list"},
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
    },
}
MODEL = {
    "type": "object",
    "required": [
        "id",
        "object",
        "status",
        "memory_mb",
        "context_length",
        "context_available",
        "fits",
        "roles",
    ],
    "properties": {
        "id": {"type": "string"},
        "object": {"type": "string", "const": "model"},
        "status": {
            "type": "string",
            "enum": ["loaded", "loading", "unloading", "available", "failed"],
        },
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "memory_mb": {"type": "integer"},
        "context_length": {"type": "integer"},
        "context_available": {"type": "integer"},
        "fits": {"type": "boolean"},
        "roles": {"type": "array", "items": {"type": "string"}},
        "error": {"type": "object", "required": ["code", "message"]},
    },
}
LOADING = {
    "type": "object",
    "required": ["id", "status", "message"],
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string", "enum": list(State)},
        "message": {"type": "string"},
    },
}
JOB = {
    "type": "object",
    "required": ["id", "object", "state", "model", "priority", "created"],
    "properties": {
        "id": {"type": "string"},
        "object": {"type": "string", "const": "job"},
        "state": {"type": "string", "enum": list(JobState)},
        "position": {"type": "integer", "minimum": 1},
        "estimated_wait_s": {"type": "number", "minimum": 0},
        "result": {"$ref": "#/components/schemas/ChatCompletion"},
    },
}
JOBS = {
    "type": "object",
    "required": ["object", "data", "has_more"],
    "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}},
}
HEALTH = {"type": "object", "required": ["status"]}
