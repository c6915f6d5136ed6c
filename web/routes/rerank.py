"""`POST /v1/rerank`: documents in the order of how well they answer a query."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response

from web import intake
from web.operation import Answer, Component, Operation, describe
from web.routes.completions import ANSWERING, respond
from web.schemas.bounds import bounded
from web.schemas.reranking import BOUNDS, RerankSchema
from web.schemas.responses import READING_USAGE
from workers.contract import errors
from workers.contract.job import Api

blueprint = Blueprint("rerank", __name__)

REQUEST = Component(
    "RerankRequest",
    RerankSchema,
    example={
        "model": "bge-reranker-base",
        "query": "What is the capital of France?",
        "documents": ["Berlin is a city.", "The capital of France is Paris."],
        "top_n": 1,
    },
)
RANKING = Component(
    "Ranking",
    {
        "type": "object",
        "required": ["id", "object", "created", "model", "results", "usage"],
        "properties": {
            "id": {"type": "string"},
            "object": {"type": "string", "const": "list"},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "relevance_score"],
                    "properties": {
                        "index": {"type": "integer", "minimum": 0},
                        "relevance_score": {"type": "number"},
                        "document": {
                            "type": "object",
                            "required": ["text"],
                            "properties": {"text": {"type": "string"}},
                        },
                    },
                },
            },
            "usage": READING_USAGE,
        },
    },
    example={
        "id": "rerank-5f1d0c5be6d04d3c9b8b7b6f1a9d2e33",
        "object": "list",
        "created": 1790000000,
        "model": "bge-reranker-base",
        "results": [
            {
                "index": 1,
                "relevance_score": 0.98,
                "document": {"text": "The capital of France is Paris."},
            }
        ],
        "usage": {"prompt_tokens": 33, "total_tokens": 33},
    },
)
_RERANK = Operation(
    operation_id="rerank",
    tag="Embeddings",
    summary="Rank documents by how well they answer a query.",
    description=(
        "Takes what Jina's, Cohere's and vLLM's endpoints take. `index` is a document's place in "
        "the request; the best comes first. The model must be a cross-encoder: `GET /v1/models` "
        "has `rerank` among its capabilities; see [EMBEDDINGS.md](EMBEDDINGS.md#rerank).\n\n"
        "Priorities, cancelling, jobs and Idempotency-Key are as with chat completions; as a job, "
        "send the body to `POST /v1/jobs`."
    ),
    parameters=(intake.IDEMPOTENCY_KEY,),
    request=REQUEST,
    answers={200: Answer("The documents, the best first.", RANKING)},
    errors=(*ANSWERING, errors.WrongModelKind, errors.ContextBudgetExceeded),
)


@blueprint.post("/v1/rerank")
@describe(_RERANK)
@bounded(BOUNDS)
def create() -> Response:
    """Rank documents by how well they answer a query."""
    return respond(intake.read(api=Api.RERANK))


@blueprint.post("/rerank")
@describe(
    replace(
        _RERANK,
        operation_id="rerankAsInVllm",
        summary="`POST /v1/rerank`, where vLLM and llama-server have it.",
    )
)
@bounded(BOUNDS)
def as_in_vllm() -> Response:
    """The same."""
    return create()


@blueprint.post("/v2/rerank")
@describe(
    replace(
        _RERANK,
        operation_id="rerankAsInCohere",
        summary="`POST /v1/rerank`, where Cohere's clients look for it.",
    )
)
@bounded(BOUNDS)
def as_in_cohere() -> Response:
    """The same."""
    return create()
