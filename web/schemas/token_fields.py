"""Fields that name tokens of a model's vocabulary."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from web.schemas.fields import Decimal, JsonField, Whole


class TokenId(Whole):
    """The id of a token; whether the model has it is for its worker to say."""

    #: llama.cpp and vLLM keep ids in 32 bits with a sign.
    MOST = 2**31 - 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, self.MOST, **kwargs)


class LogitBias(JsonField[tuple[tuple[int, float], ...]]):
    """Token ids with a number each: OpenAI's object, or llama-server's list of pairs."""

    #: OpenAI's bounds.
    MOST, LARGEST = 300, 100.0

    def __init__(self, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self._token = TokenId(required=True)
        self._bias = Decimal(-self.LARGEST, self.LARGEST, required=True)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[tuple[int, float], ...]:
        pairs = list(value.items()) if isinstance(value, dict) else value
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
        ):
            raise ValidationError("must be an object of token ids and numbers")
        if len(pairs) > self.MOST:
            raise ValidationError(f"must have at most {self.MOST} token ids")
        biases: dict[int, float] = {}
        for token, bias in pairs:
            name = str(token)[:20]
            biases[self._id(token, name)] = self._number(bias, name)
        return tuple(biases.items())

    def _id(self, token: Any, name: str) -> int:
        if isinstance(token, str):  # the names of an object's members are texts
            digits = token.isascii() and token.isdecimal() and len(token) <= 10
            token = int(token) if digits else token
        try:
            return int(self._token.deserialize(token))
        except ValidationError:
            raise ValidationError(f"has {name!r}, which is no token id") from None

    def _number(self, bias: Any, name: str) -> float:
        try:
            return float(self._bias.deserialize(bias))
        except ValidationError as error:
            raise ValidationError({name: error.messages}) from None

    def _json_schema(self) -> dict[str, Any]:
        bias = self._bias.json_schema()
        return {"type": "object", "maxProperties": self.MOST, "additionalProperties": bias}
