"""Tools that tests offer, and the calls that an answer's deltas make of them."""

import json

from workers.contract.tools import Tool, ToolChoice, Tools

WEATHER = Tool(
    "get_weather",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    strict=True,
)
ADD = Tool(
    "add",
    "Adds two numbers.",
    {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0, "maximum": 99},
            "b": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
CALL = '{"name": "get_weather", "arguments": {"city": "Köln, 三", "unit": "celsius"}}'


def offered(choice="auto", name=None, **options):
    """Both tools, with this choice."""
    return Tools((WEATHER, ADD), ToolChoice(choice), name, **options)


def calls(deltas):
    """The calls that deltas make: for each its id, its name and its arguments, by their index."""
    made = {}
    for part in (part for delta in deltas for part in delta.calls):
        id_, name, arguments = made.get(part.index, ("", "", ""))
        assert not (part.id and id_), "an id comes once"
        made[part.index] = (id_ + part.id, name + part.name, arguments + part.arguments)
    assert list(made) == list(range(len(made)))
    return list(made.values())


def arguments(deltas):
    """Name and parsed arguments of each call."""
    return [(name, json.loads(text)) for _, name, text in calls(deltas)]
