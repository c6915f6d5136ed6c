"""Calls and their results in a conversation: what callers send back, and which belongs to which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from web.schemas.bounds import Bounds, check
from web.schemas.fields import Items, JsonField, Text
from web.schemas.lenient import LenientSchema
from web.schemas.refusals import invalid
from workers.contract.errors import InferenceError

#: Calls of one message.
MOST_CALLS = 128
_LONGEST_NAME = 256


class ArgumentsField(JsonField[str]):
    """Arguments: JSON text, as models write it; of an object its text is made.

    Text that is no JSON is taken: a call that was cut by `max_tokens` comes back so.
    """

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False)
        if not isinstance(value, str):
            raise ValidationError("must be a string that holds a JSON object")
        return value or "{}"

    def json_schema(self) -> dict[str, Any]:
        """A string, or an object."""
        return {"anyOf": [{"type": "string"}, {"type": "object"}]}


class CalledFunctionSchema(LenientSchema):
    """The function that was called, and with what."""

    name = Text(required=True, least=1, most=_LONGEST_NAME)
    arguments = ArgumentsField(required=True)


class CallSchema(LenientSchema):
    """One call of an assistant's message."""

    id = Text(required=True, least=1, most=_LONGEST_NAME)
    type = Text(choices=("function",))
    function = fields.Nested(CalledFunctionSchema, required=True)


class CallsField(Items):
    """The calls of an assistant's message."""

    def __init__(self) -> None:
        super().__init__(fields.Nested(CallSchema), allow_none=True, most=MOST_CALLS)


class ToolHistory:
    """The calls of a conversation so far, as its messages are read one after the other."""

    def __init__(self) -> None:
        #: Id of each call -> the function's name.
        self._names: dict[str, str] = {}
        #: Values that the arguments of all calls together may still have: workers parse them.
        self._values_left = Bounds().nodes

    def calls(self, path: str, turn: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """The calls of an assistant's message, as templates take them.

        Raises:
            ValidationFailed: arguments are over a bound of JSON, or no Unicode text.
        """
        calls = [_call(call["id"], call["function"]) for call in turn.get("tool_calls") or ()]
        where = [f"{path}.tool_calls.{at}.function.arguments" for at in range(len(calls))]
        if (older := turn.get("function_call")) is not None:
            calls.append(_call(f"function-{len(self._names)}", older))
            where.append(f"{path}.function_call.arguments")
        for call, param in zip(calls, where, strict=True):
            self._values_left -= _values(param, call["function"]["arguments"], self._values_left)
            self._names[call["id"]] = call["function"]["name"]
        return tuple(calls)

    def answered(self, path: str, turn: Mapping[str, Any]) -> tuple[str, str]:
        """Id and function of the call whose result a message is.

        Raises:
            ValidationFailed: there is no such call before it.
        """
        if turn["role"] == "function":
            return self._answered_by_name(path, turn.get("name"))
        call_id = turn.get("tool_call_id")
        if not call_id:
            raise invalid(
                f"{path}.tool_call_id", "is missing: the result of a tool names the call it is of"
            )
        if call_id not in self._names:
            raise invalid(
                f"{path}.tool_call_id", "is of no call in the assistant's messages before it"
            )
        return call_id, self._names[call_id]

    def _answered_by_name(self, path: str, name: str | None) -> tuple[str, str]:
        if not name:
            raise invalid(f"{path}.name", "is missing: the result of a function has its name")
        for call_id, called in reversed(self._names.items()):
            if called == name:
                return call_id, name
        raise invalid(f"{path}.name", "is of no function that a message before it calls")


def _call(call_id: str, function: Mapping[str, Any]) -> dict[str, Any]:
    called = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": call_id, "type": "function", "function": called}


def _values(param: str, text: str, left: int) -> int:
    """How many values the JSON of arguments has; 0 where they are no JSON and stay a text.

    Raises:
        ValidationFailed: they are over a bound, or what they say is no Unicode text.
    """
    try:
        values = check(text.encode(), Bounds(nodes=left))
    except InferenceError as error:
        if bound := error.details.get("bound"):
            limit = error.details["limit"]
            raise invalid(param, f"is over a bound: {bound}, at most {limit}") from None
        return 0
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise invalid(param, "holds half of a surrogate pair, which is no Unicode text") from None
    except ValueError:
        pass
    return values
