"""The refusal of a request that asks a model for what it does not do."""

from __future__ import annotations

from workers.contract.errors import WrongModelKind

#: Kind of a model, by its word in the catalogue -> what it does, and where to send what it takes.
_DOES = {
    "generation": "writes answers, no vectors and no scores: send it messages at "
    "POST /v1/chat/completions",
    "embedding": "makes embeddings and answers nothing: send it texts at POST /v1/embeddings",
    "rerank": "ranks documents and answers nothing: send it a query and documents at "
    "POST /v1/rerank",
}


def wrong_kind(model: str, kind: str) -> WrongModelKind:
    """What says of a model of this kind what it does, and who does what is asked for."""
    return WrongModelKind(
        f"{model} {_DOES[kind]}, or name another model: GET /v1/models tells their capabilities.",
        details={"model": model, "param": "model", "kind": kind},
    )
