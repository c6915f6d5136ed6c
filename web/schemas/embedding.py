"""The body of `POST /v1/embeddings`, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from web.schemas import encoder_request
from web.schemas.bounds import Bounds
from web.schemas.completion import Completion
from web.schemas.completion_schema import CallerFields, JobFields
from web.schemas.fields import Flag, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.prompts import PromptsField, TextOrIds
from web.schemas.tokenizing import MOST_IDS, MOST_TEXT
from workers.contract.embedding import MOST_INPUTS, Embedding
from workers.contract.job import Api, Priority

#: Token ids are values, and so are lists of them.
BOUNDS = Bounds(nodes=MOST_IDS + MOST_INPUTS + 100)
#: Longer vectors than any model gives.
_MOST_DIMENSIONS = 65_536


class _InputField(PromptsField):
    """One text or several, none of them empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(most=MOST_INPUTS, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[TextOrIds, ...]:
        inputs = super()._deserialize(value, *args, **kwargs)
        for place, each in enumerate(inputs):
            where = "" if len(inputs) == 1 else f"item {place} "
            if isinstance(each, str) and len(each) > MOST_TEXT:  # it is tokenised in one call, too
                raise ValidationError(f"{where}must have at most {MOST_TEXT} characters")
            if not each:
                raise ValidationError(f"{where}must not be empty: nothing has no vector")
        return inputs


class EmbeddingSchema(CallerFields, LenientSchema):
    """Texts whose vectors are asked for."""

    model = Text(
        required=True,
        least=1,
        most=200,
        description="An embedding model's id or alias.",
        error_messages={
            "required": "is missing. Name one of GET /v1/models whose capabilities have embedding"
        },
    )
    input = _InputField(
        required=True,
        description="A text, several, token ids of this model, or several lists of them; ids are "
        "read as they stand.",
    )
    encoding_format = Text(
        choices=("float", "base64"),
        description="`float`: lists of numbers; `base64`: 32-bit floats, little-endian. `float` "
        "if absent.",
    )
    dimensions = Whole(
        1,
        _MOST_DIMENSIONS,
        description="So many of the first numbers of each vector, scaled to length 1 again.",
    )
    truncate = Flag(
        description="Read a text that is too long as far as it fits; else it is refused."
    )


class EmbeddingJobSchema(JobFields, EmbeddingSchema):
    """Vectors that are made in the background."""


_SCHEMA, _JOB_SCHEMA = EmbeddingSchema(), EmbeddingJobSchema()


def load(
    body: Mapping[str, Any], default_priority: Priority, *, asynchronous: bool = False
) -> Completion:
    """Validate a body: of `POST /v1/embeddings` or, `asynchronous`, of a job.

    Raises:
        ValidationFailed: a field is missing or wrong; names it.
        UnsupportedParameter: it asks for what is not there.
    """
    data, ignored = encoder_request.read(body, _JOB_SCHEMA if asynchronous else _SCHEMA)
    asked = Embedding(
        data["input"],
        dimensions=data.get("dimensions"),
        truncate=bool(data.get("truncate")),
        as_base64=data.get("encoding_format") == "base64",
    )
    return encoder_request.of(data, Api.EMBEDDINGS, default_priority, ignored, embedding=asked)
