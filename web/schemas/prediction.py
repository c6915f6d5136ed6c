"""What a caller expects the answer to say, as OpenAI's `prediction`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas.fields import Content, Text
from web.schemas.lenient import LenientSchema
from web.schemas.messages import text_of
from web.schemas.refusals import invalid

#: Characters of a prediction at most: some 32,000 tokens, which take a quarter of a second to read.
MOST_CHARACTERS = 128 * 1024


class PredictionSchema(LenientSchema):
    """A text that the answer will mostly repeat."""

    type = Text(required=True, choices=("content",))
    content = Content(required=True)


def read(data: Mapping[str, Any]) -> str:
    """The predicted text of a completion's fields; empty where there is none.

    Raises:
        ValidationFailed: it is too long, a part of it is no text part, or it comes with what OpenAI
            does not take it with either.
        UnsupportedParameter: a part holds something else than text.
    """
    given = data.get("prediction")
    if given is None:
        return ""
    content = given["content"]
    path = "prediction.content"
    if isinstance(content, list):
        parts = enumerate(content)
        content = "".join(text_of(f"{path}.{position}", part) for position, part in parts)
    if len(content) > MOST_CHARACTERS:
        raise invalid(path, f"must have at most {MOST_CHARACTERS} characters")
    if (data.get("n") or 1) > 1:
        raise invalid("prediction", "does not go with n above 1")
    if data.get("tools") or data.get("functions"):
        raise invalid("prediction", "does not go with tools: an answer that calls has no text")
    return str(content)
