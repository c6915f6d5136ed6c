"""LlamaIndex: `OpenAILike`, and its agents."""

import asyncio
import gc

import openai
import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL, TOO_LONG, City
from tests.support.front_end import MODEL
from tests.support.waiting import wait_for

HELLO = [ChatMessage("Say hello.", role="user")]


def open_model(service, key=KEY, **options):
    return OpenAILike(model=MODEL, api_base=service.api_url, api_key=key, max_retries=0, **options)


@pytest.fixture(scope="module")
def model(real):
    return open_model(real, is_chat_model=True, is_function_calling_model=True, max_tokens=100)


@pytest.fixture(scope="module")
def scripted_model(scripted):
    return open_model(scripted, is_chat_model=True, is_function_calling_model=True)


def test_a_chat(model):
    answer = model.chat(HELLO)
    assert answer.message.content
    assert answer.raw.usage.completion_tokens > 0


def test_a_stream(model):
    *_, last = model.stream_chat(HELLO)
    assert last.message.content


def test_a_completion_of_a_text(real):
    """What it does where nobody says that the model chats."""
    model = open_model(real, max_tokens=8, temperature=0)
    text = model.complete("Once upon a time").text
    *_, last = model.stream_complete("Once upon a time")
    assert text
    assert last.text == text


@pytest.mark.parametrize("by_schema", [False, True])
def test_an_object_of_a_class(real, by_schema):
    model = open_model(
        real,
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=by_schema,
    )
    assert isinstance(model.as_structured_llm(City).chat(HELLO).raw, City)


def test_a_tool_that_must_be_called(model, get_weather):
    tool = FunctionTool.from_defaults(get_weather)
    answer = model.chat_with_tools([tool], chat_history=HELLO, tool_required=True)
    (asked,) = model.get_tool_calls_from_response(answer)
    assert asked.tool_name == "get_weather"
    result = ChatMessage(
        get_weather(**asked.tool_kwargs),
        role="tool",
        additional_kwargs={"tool_call_id": asked.tool_id},
    )
    assert model.chat([*HELLO, answer.message, result]).message.content


async def _run(agent, question):
    handler = agent.run(question)
    results = [
        event async for event in handler.stream_events() if isinstance(event, ToolCallResult)
    ]
    return results, await handler


@pytest.mark.parametrize("streaming", [True, False])
def test_a_loop(scripted_model, get_weather, streaming):
    agent = FunctionAgent(tools=[get_weather], llm=scripted_model, streaming=streaming)
    (result,), answer = asyncio.run(_run(agent, ONE_CALL))
    assert get_weather.asked == ["Paris"]
    assert result.tool_output.content == "sunny in Paris"
    assert answer.response.content == ANSWER


def test_a_wrong_key(real):
    with pytest.raises(openai.AuthenticationError):
        open_model(real, "wrong", is_chat_model=True).chat(HELLO)


def test_too_many_requests(scripted, used_up_key):
    with pytest.raises(openai.RateLimitError):
        open_model(scripted, used_up_key, is_chat_model=True).chat(HELLO)


def test_a_prompt_that_is_too_long(model):
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        model.chat([ChatMessage(TOO_LONG, role="user")])


def test_a_stream_that_is_left(scripted_model, runs):
    stream = scripted_model.stream_chat([ChatMessage(ENDLESS, role="user")])
    next(stream)
    assert runs()
    del stream
    gc.collect()  # to which it leaves the connection
    wait_for(lambda: not runs())
