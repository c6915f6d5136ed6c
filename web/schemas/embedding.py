"""The body of `POST /v1/embeddings`, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from web.schemas import service_tier, unknown_parameters
from web.schemas.bounds import Bounds
from web.schemas.completion import Completion
from web.schemas.completion_schema import CallerFields, JobFields
from web.schemas.fields import Flag, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.prompts import PromptsField, TextOrIds
from web.schemas.tokenizing import MOST_IDS, MOST_TEXT
from workers.contract.embedding import MOST_INPUTS, Embedding
from workers.contract.errors import UnsupportedParameter
from workers.contract.job import DEFAULT_MODE, Api, Priority, TemplateOptions
from workers.contract.sampling import Sampling

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
    schema = _JOB_SCHEMA if asynchronous else _SCHEMA
    if body.get("messages") is not None:
        raise UnsupportedParameter(
            "'messages' goes only with POST /v1/chat/completions.", details={"param": "messages"}
        )
    known, ignored = unknown_parameters.sort_out(body, schema.fields)
    data = schema.read(known)
    return Completion(
        model=data["model"],
        messages=(),
        sampling=Sampling(),
        template=TemplateOptions(),
        tools=None,
        mode=DEFAULT_MODE,
        priority=service_tier.priority(data, default_priority),
        service_tier=data.get("service_tier"),
        compression=None,
        task_type=None,
        user=data.get("user"),
        metadata=data.get("metadata") or {},
        store=None,
        stream=False,
        include_usage=False,
        include_steps=False,
        timings=False,
        deadline_s=data.get("deadline_s"),
        webhook=data.get("webhook"),
        choices=1,
        ignored=tuple(ignored),
        relaxed=(),
        embedding=Embedding(
            data["input"],
            dimensions=data.get("dimensions"),
            truncate=bool(data.get("truncate")),
            as_base64=data.get("encoding_format") == "base64",
        ),
        api=Api.EMBEDDINGS,
    )
