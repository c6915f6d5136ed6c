"""pydantic-ai: agents with tools, and answers of a class."""

import asyncio
import json

import pytest
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, PromptedOutput
from pydantic_ai.messages import ToolCallPart, ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL, TOO_LONG, City, call, question
from tests.support.front_end import MODEL
from tests.support.waiting import wait_for

SHORT = {"temperature": 0.0, "max_tokens": 100}


def open_model(service, key=KEY):
    provider = OpenAIProvider(base_url=service.api_url, api_key=key)
    provider.client.max_retries = 0
    return OpenAIChatModel(MODEL, provider=provider)


@pytest.fixture
def model(real):
    return open_model(real)


@pytest.fixture
def scripted_model(scripted):
    return open_model(scripted)


def test_a_chat(model):
    agent = Agent(model, instructions="Be brief.", model_settings=SHORT)
    answer = agent.run_sync("Say hello.")
    assert answer.output
    assert answer.usage.output_tokens > 0


async def _streamed(agent):
    async with agent.run_stream("Say hello.") as answer:
        return [piece async for piece in answer.stream_text(delta=True)]


def test_a_stream(model):
    assert "".join(asyncio.run(_streamed(Agent(model, model_settings=SHORT))))


def as_it_is(output):
    return output


@pytest.mark.parametrize("form", [as_it_is, NativeOutput])
def test_an_answer_of_a_class(model, form):
    """By default it comes as the call of a tool that must be called."""
    agent = Agent(model, output_type=form(City), model_settings={"temperature": 0.0})
    assert isinstance(agent.run_sync("Name a city.").output, City)


def test_an_answer_of_a_class_that_the_prompt_asks_for(scripted_model):
    text = json.dumps({"name": "Paris", "inhabitants": 1})
    agent = Agent(scripted_model, output_type=PromptedOutput(City))
    assert agent.run_sync(question(text)).output == City(name="Paris", inhabitants=1)


def parts(answer, kind):
    return [part for m in answer.all_messages() for part in m.parts if isinstance(part, kind)]


def test_a_loop(scripted_model, get_weather):
    agent = Agent(scripted_model, tools=[get_weather])
    answer = agent.run_sync(ONE_CALL)
    assert get_weather.asked == ["Paris"]
    assert [part.tool_name for part in parts(answer, ToolCallPart)] == ["get_weather"]
    assert [part.content for part in parts(answer, ToolReturnPart)] == ["sunny in Paris"]
    assert answer.output == ANSWER


async def _loop_streamed(agent):
    async with agent.run_stream(ONE_CALL) as answer:
        return [text async for text in answer.stream_text()]


def test_a_streamed_loop(scripted_model, get_weather):
    texts = asyncio.run(_loop_streamed(Agent(scripted_model, tools=[get_weather])))
    assert get_weather.asked == ["Paris"]
    assert texts[-1] == ANSWER


def test_a_loop_whose_end_is_of_a_class(scripted_model, get_weather):
    """A tool of the user's and the one that ends it, both of which may be called."""
    agent = Agent(scripted_model, tools=[get_weather], output_type=City)
    end = call("final_result", name="Paris", inhabitants=2_000_000)
    answer = agent.run_sync(question(call("get_weather", city="Paris"), end))
    assert get_weather.asked == ["Paris"]
    assert answer.output == City(name="Paris", inhabitants=2_000_000)


@pytest.mark.parametrize("words", ["401", "429", "context_length_exceeded"])
def test_a_refusal(real, scripted, request, words):
    refused = {
        "401": lambda: (open_model(real, "wrong"), "Say hello."),
        "429": lambda: (open_model(scripted, request.getfixturevalue("used_up_key")), "Hello."),
        "context_length_exceeded": lambda: (open_model(real), TOO_LONG),
    }
    model, question_ = refused[words]()
    with pytest.raises(ModelHTTPError, match=words):
        Agent(model).run_sync(question_)


async def _left(agent, runs):
    async with agent.run_stream(ENDLESS) as answer:
        async for _ in answer.stream_text():
            assert runs()
            break


def test_a_stream_that_is_left(scripted_model, runs):
    asyncio.run(_left(Agent(scripted_model), runs))
    wait_for(lambda: not runs())
