"""The body of `POST /v1/rerank`, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from web.schemas import encoder_request
from web.schemas.bounds import Bounds
from web.schemas.completion import Completion
from web.schemas.completion_schema import CallerFields, JobFields
from web.schemas.fields import Flag, JsonField, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.tokenizing import MOST_TEXT
from workers.contract.job import Api, Priority
from workers.contract.reranking import MOST_DOCUMENTS, Reranking

#: Texts, of which each may stand in an object.
BOUNDS = Bounds()
#: A count that no request reaches, for clients that mean all.
_MOST_TOP_N = 1_000_000


class _DocumentsField(JsonField[tuple[str, ...]]):
    """Texts, as strings or as objects with `text`; one may be empty."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValidationError("must be a list of texts")
        if not value:
            raise ValidationError("must not be empty")
        if len(value) > MOST_DOCUMENTS:
            raise ValidationError(f"must have at most {MOST_DOCUMENTS} items")
        return tuple(_text(item, place) for place, item in enumerate(value))

    def json_schema(self) -> dict[str, Any]:
        """Strings, or objects with a text."""
        text = {"type": "string", "maxLength": MOST_TEXT}
        with_text = {"type": "object", "required": ["text"], "properties": {"text": text}}
        return {
            "type": "array",
            "items": {"anyOf": [text, with_text]},
            "minItems": 1,
            "maxItems": MOST_DOCUMENTS,
        }


def _text(item: Any, place: int) -> str:
    text = item.get("text") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise ValidationError(f"item {place} must be a string, or an object whose text is one")
    if len(text) > MOST_TEXT:  # it is tokenised in one call
        raise ValidationError(f"item {place} must have at most {MOST_TEXT} characters")
    return text


class RerankSchema(CallerFields, LenientSchema):
    """Documents that are to be ranked by how well they answer a query."""

    model = Text(
        required=True,
        least=1,
        most=200,
        description="A cross-encoder's id or alias.",
        error_messages={
            "required": "is missing. Name one of GET /v1/models whose capabilities have rerank"
        },
    )
    query = Text(
        required=True, least=1, most=MOST_TEXT, description="What the documents are to answer."
    )
    documents = _DocumentsField(
        required=True, description="Texts, as strings or as objects with `text`."
    )
    top_n = Whole(
        1,
        _MOST_TOP_N,
        description="So many of the best are told; all if absent, or if there are fewer.",
    )
    return_documents = Flag(description="Each result has its text; true if absent.")
    truncate = Flag(
        description="Read a query and a document that are too long together as far as they fit, "
        "the longer one cut first; else they are refused."
    )


class RerankJobSchema(JobFields, RerankSchema):
    """A ranking that is made in the background."""


_SCHEMA, _JOB_SCHEMA = RerankSchema(), RerankJobSchema()


def load(
    body: Mapping[str, Any], default_priority: Priority, *, asynchronous: bool = False
) -> Completion:
    """Validate a body: of `POST /v1/rerank` or, `asynchronous`, of a job.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not there.
    """
    data, ignored = encoder_request.read(body, _JOB_SCHEMA if asynchronous else _SCHEMA)
    asked = Reranking(
        data["query"],
        data["documents"],
        top_n=data.get("top_n"),
        return_documents=data.get("return_documents") is not False,
        truncate=bool(data.get("truncate")),
    )
    return encoder_request.of(data, Api.RERANK, default_priority, ignored, reranking=asked)
