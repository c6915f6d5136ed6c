"""The official client of OpenAI for Python."""

import asyncio
import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL, TOO_LONG, City
from tests.support.front_end import MODEL
from tests.support.waiting import wait_for

HELLO = [{"role": "user", "content": "Say hello."}]
SHORT = {"model": MODEL, "temperature": 0, "max_tokens": 16}


class Weather(BaseModel):
    """Tell the weather in a city."""

    city: Literal["Paris", "Rome"]


@pytest.fixture(scope="module")
def client(real):
    with openai.OpenAI(base_url=real.api_url, api_key=KEY) as client:
        yield client


@pytest.fixture(scope="module")
def scripted_client(scripted):
    with openai.OpenAI(base_url=scripted.api_url, api_key=KEY, max_retries=0) as client:
        yield client


def test_a_chat(client):
    answer = client.chat.completions.create(messages=HELLO, **SHORT)
    (choice,) = answer.choices
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream(client):
    usage = {"stream_options": {"include_usage": True}}
    *chunks, last = client.chat.completions.create(messages=HELLO, **SHORT, stream=True, **usage)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert (last.choices, last.usage.completion_tokens > 0) == ([], True)


async def _streamed(real):
    async with openai.AsyncOpenAI(base_url=real.api_url, api_key=KEY) as client:
        stream = await client.chat.completions.create(messages=HELLO, **SHORT, stream=True)
        return [chunk async for chunk in stream]


def test_an_asynchronous_stream(real):
    assert asyncio.run(_streamed(real))[-1].choices[0].finish_reason


def test_what_programs_send_beside_their_question(client):
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Say hello."}], "name": "Ada.L"},
        ],
        max_completion_tokens=8,
        n=1,
        user="ada",
        metadata={"purpose": "a test"},
        store=False,
        service_tier="auto",
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
        logprobs=False,
        logit_bias={},
        seed=7,
        stop=None,
        response_format={"type": "text"},
        prompt_cache_key="hello",
        safety_identifier="ada",
    )
    assert answer.choices[0].finish_reason


def test_an_object_of_a_class(client):
    """`strict`, as the client makes it of the class."""
    answer = client.chat.completions.parse(
        model=MODEL, messages=HELLO, temperature=0, response_format=City
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_a_streamed_object_of_a_class(client):
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, temperature=0, response_format=City
    ) as stream:
        events = list(stream)
    assert [event for event in events if event.type == "content.delta"]
    assert isinstance(stream.get_final_completion().choices[0].message.parsed, City)


def test_any_object(client):
    answer = client.chat.completions.create(
        messages=HELLO, response_format={"type": "json_object"}, **SHORT | {"max_tokens": 200}
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def test_a_response_that_goes_on(client):
    first = client.responses.create(model=MODEL, input="Name a city.", max_output_tokens=8)
    assert first.output_text
    again = {"previous_response_id": first.id, "max_output_tokens": 8}
    with client.responses.stream(model=MODEL, input="And a river?", **again) as stream:
        events = list(stream)
    assert events[-1].type in ("response.completed", "response.incomplete")
    items = client.responses.input_items.list(events[-1].response.id)
    assert [item.role for item in items] == ["user", "assistant", "user"]


def test_a_response_that_is_an_object_of_a_class(client):
    answer = client.responses.parse(
        model=MODEL, input="Name a city.", temperature=0, text_format=City, store=False
    )
    assert isinstance(answer.output_parsed, City)


def test_a_response_in_the_background(scripted_client):
    asked = scripted_client.responses.create(model=MODEL, input=ENDLESS, background=True)
    with scripted_client.responses.retrieve(asked.id, stream=True) as events:
        seen = [next(events) for _ in range(6)]
    rest = scripted_client.responses.retrieve(
        asked.id, stream=True, starting_after=seen[-1].sequence_number
    )
    assert next(rest).sequence_number == seen[-1].sequence_number + 1
    assert scripted_client.responses.cancel(asked.id).status == "cancelled"
    assert [*rest][-1].response.status == "cancelled"


def test_a_completion_of_a_text(client):
    answer = client.completions.create(prompt="Once upon a time", **SHORT)
    assert answer.choices[0].text
    stream = client.completions.create(prompt="Once upon a time", **SHORT, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text


def test_vectors(client, embeds):
    several = client.embeddings.create(model=embeds, input=["one text", "another"])
    alone = client.embeddings.create(model=embeds, input="another", encoding_format="float")
    assert several.data[1].embedding == pytest.approx(alone.data[0].embedding, abs=1e-5)
    assert several.usage.total_tokens > alone.usage.total_tokens
    with pytest.raises(openai.BadRequestError, match="/v1/chat/completions"):
        client.embeddings.create(model=MODEL, input="a text")


def test_the_models(client):
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def run(get_weather, message):
    """The messages that go on after the calls of a message: it, and their results."""
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": get_weather(**json.loads(call.function.arguments)),
        }
        for call in message.tool_calls
    ]
    return [message, *results]


def test_a_tool_that_must_be_called(client, get_weather):
    tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
    asked = {"model": MODEL, "temperature": 0, "tools": tools, "max_tokens": 100}
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        first = client.chat.completions.parse(messages=HELLO, tool_choice=choice, **asked)
        (chosen,) = first.choices
        assert chosen.finish_reason == "tool_calls"
        assert isinstance(chosen.message.tool_calls[0].function.parsed_arguments, Weather)
        messages = [*HELLO, *run(get_weather, chosen.message)]
        last = client.chat.completions.create(messages=messages, tool_choice="none", **asked)
        assert last.choices[0].message.content
    assert len(get_weather.asked) >= 2


def test_a_streamed_call(client):
    tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
    with client.chat.completions.stream(
        messages=HELLO, tools=tools, tool_choice="required", **SHORT | {"max_tokens": 100}
    ) as stream:
        events = list(stream)
    assert [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    (choice,) = stream.get_final_completion().choices
    assert choice.finish_reason == "tool_calls"
    assert isinstance(choice.message.tool_calls[0].function.parsed_arguments, Weather)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_loop(scripted_client, get_weather, streamed):
    messages = [{"role": "user", "content": ONE_CALL}]
    tools = [openai.pydantic_function_tool(Weather, name="get_weather")]
    reasons = []
    while not reasons or reasons[-1] == "tool_calls":
        if streamed:
            with scripted_client.chat.completions.stream(
                model=MODEL, messages=messages, tools=tools
            ) as stream:
                answer = stream.get_final_completion()
        else:
            answer = scripted_client.chat.completions.create(
                model=MODEL, messages=messages, tools=tools
            )
        (choice,) = answer.choices
        reasons.append(choice.finish_reason)
        if choice.message.tool_calls:
            messages += run(get_weather, choice.message)
    assert reasons == ["tool_calls", "stop"]
    assert get_weather.asked == ["Paris"]
    assert choice.message.content == ANSWER


def test_a_wrong_key(real):
    client = openai.OpenAI(base_url=real.api_url, api_key="wrong")
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(messages=HELLO, **SHORT)


def test_too_many_requests(scripted, used_up_key):
    client = openai.OpenAI(base_url=scripted.api_url, api_key=used_up_key, max_retries=0)
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(messages=HELLO, **SHORT)
    assert 0 < int(refused.value.response.headers["Retry-After"]) <= 60


def test_a_prompt_that_is_too_long(client):
    long = [{"role": "user", "content": TOO_LONG}]
    with pytest.raises(openai.BadRequestError, match="maximum context length") as refused:
        client.chat.completions.create(messages=long, **SHORT)
    assert "context_length_exceeded" in str(refused.value)


def test_a_stream_that_is_left(scripted_client, runs):
    with scripted_client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": ENDLESS}], stream=True
    ) as stream:
        next(stream)
        assert runs()
    wait_for(lambda: not runs())
