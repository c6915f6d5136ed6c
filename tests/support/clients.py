"""What tests of other people's clients ask for: an object, a tool, a loop of calls."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: The key of their services.
KEY = "the-key-of-these-tests"
#: More than the model's context.
TOO_LONG = "word " * 9000
#: What a loop ends with.
ANSWER = "It is sunny in Paris."


class City(BaseModel):
    """A city."""

    # A small model goes on as long as it may: fields are short, and there are no others.
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=12)]
    inhabitants: Annotated[int, Field(ge=0, le=99_999_999)]


def weather_tool():
    """A function as its user writes it; `asked` has the cities that it was called with."""
    asked = []

    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """Tell the weather in a city."""
        asked.append(city)
        return f"sunny in {city}"

    get_weather.asked = asked
    return get_weather


def call(name, /, **arguments):
    """A call as the model of the scripted engine writes it."""
    return json.dumps({"name": name, "arguments": arguments})


def question(*texts):
    """A question whose answers, the calls among them, are these, one after the other."""
    return json.dumps({"scripted": {"turns": [{"text": text} for text in texts]}})


#: A question whose answer goes on until its reader leaves.
ENDLESS = json.dumps({"scripted": {"repeat": True, "tokens_per_s": 50}})
#: The tool is called, its result comes back, an answer ends it.
ONE_CALL = question(call("get_weather", city="Paris"), ANSWER)
