"""`POST /v1/embeddings`: vectors of texts."""

from __future__ import annotations

from flask import Blueprint, Response

from web import intake
from web.operation import Answer, Component, Operation, describe
from web.routes.completions import ANSWERING, respond
from web.schemas.bounds import bounded
from web.schemas.embedding import BOUNDS, EmbeddingSchema
from web.schemas.responses import READING_USAGE
from workers.contract import errors
from workers.contract.job import Api

blueprint = Blueprint("embeddings", __name__)

REQUEST = Component(
    "EmbeddingRequest",
    EmbeddingSchema,
    example={
        "model": "all-minilm-l6-v2",
        "input": ["The capital of France is Paris.", "Paris is the capital of France."],
    },
)
EMBEDDINGS = Component(
    "Embeddings",
    {
        "type": "object",
        "required": ["id", "object", "created", "model", "data", "usage"],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "list"},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["object", "index", "embedding"],
                    "properties": {
                        "object": {"type": "string", "const": "embedding"},
                        "index": {"type": "integer", "minimum": 0},
                        "embedding": {
                            "anyOf": [
                                {"type": "array", "items": {"type": "number"}},
                                {"type": "string"},
                            ]
                        },
                    },
                },
            },
            "usage": READING_USAGE,
        },
    },
    example={
        "id": "embd-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "object": "list",
        "created": 1790000000,
        "model": "all-minilm-l6-v2",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    },
)


@blueprint.post("/v1/embeddings")
@describe(
    Operation(
        operation_id="createEmbedding",
        tag="Embeddings",
        summary="Make a vector of each text.",
        description=(
            "Takes what OpenAI's endpoint takes: a text, up to 2,048 of them, token ids, or lists "
            "of those. Each vector has length 1. The model must be one that embeds: "
            "`GET /v1/models` has `embedding` among its capabilities; see "
            "[EMBEDDINGS.md](EMBEDDINGS.md).\n\n"
            "Priorities, cancelling, jobs and Idempotency-Key are as with chat completions; as a "
            "job, send the body to `POST /v1/jobs`."
        ),
        parameters=(intake.IDEMPOTENCY_KEY,),
        request=REQUEST,
        answers={200: Answer("The vectors, in the order of the texts.", EMBEDDINGS)},
        errors=(*ANSWERING, errors.WrongModelKind, errors.ContextBudgetExceeded),
    )
)
@bounded(BOUNDS)
def create() -> Response:
    """Make a vector of each text."""
    return respond(intake.read(api=Api.EMBEDDINGS))
