"""LangChain: `ChatOpenAI`, and agents over it."""

import json

import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL, TOO_LONG, City, call, question
from tests.support.front_end import MODEL
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def model(real):
    return ChatOpenAI(
        model=MODEL, base_url=real.api_url, api_key=KEY, temperature=0, max_tokens=100
    )


@pytest.fixture(scope="module")
def scripted_model(scripted):
    return ChatOpenAI(model=MODEL, base_url=scripted.api_url, api_key=KEY)


def test_a_chat(model):
    answer = model.invoke([("system", "Be brief."), ("human", "Say hello.")])
    assert answer.text
    assert answer.response_metadata["finish_reason"] in ("stop", "length")
    assert answer.usage_metadata["output_tokens"] > 0


def test_a_stream(model):
    *_, last = chunks = list(model.stream("Say hello.", stream_usage=True))
    assert "".join(chunk.text for chunk in chunks)
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata)
    assert last.chunk_position == "last"


def test_a_completion_of_a_text(real):
    model = OpenAI(model=MODEL, base_url=real.api_url, api_key=KEY, temperature=0, max_tokens=8)
    text = model.invoke("Once upon a time")
    assert text
    assert "".join(model.stream("Once upon a time")) == text


def test_vectors(real, embeds):
    embeddings = OpenAIEmbeddings(
        model=embeds, base_url=real.api_url, api_key=KEY, check_embedding_ctx_length=False
    )
    first, second = embeddings.embed_documents(["one text", "another"])
    assert embeddings.embed_query("another") == pytest.approx(second, abs=1e-5)
    assert len(first) == len(second)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_object_of_a_class(model, method):
    structured = model.with_structured_output(City, method=method)
    assert isinstance(structured.invoke("Name a city."), City)


def test_a_streamed_object_of_a_class(model):
    *_, last = model.with_structured_output(City).stream("Name a city.")
    assert isinstance(last, City)


def test_a_tool_that_must_be_called(model, get_weather):
    bound = model.bind_tools([get_weather], tool_choice="any", parallel_tool_calls=False)
    question = [("human", "How is the weather in Paris?")]
    call = bound.invoke(question)
    (asked,) = call.tool_calls
    assert call.response_metadata["finish_reason"] == "tool_calls"
    result = ToolMessage(get_weather(**asked["args"]), tool_call_id=asked["id"])
    assert model.invoke([*question, call, result]).text


def test_streamed_calls(model, get_weather):
    bound = model.bind_tools([get_weather], tool_choice="get_weather", strict=True)
    first, *rest = bound.stream("How is the weather in Paris?")
    for chunk in rest:
        first += chunk
    (asked,) = first.tool_calls
    assert get_weather(**asked["args"])


def test_a_loop(scripted_model, get_weather):
    agent = create_agent(scripted_model, [get_weather], system_prompt="Use your tools.")
    told = agent.invoke({"messages": [("human", ONE_CALL)]})["messages"]
    assert [message.type for message in told] == ["human", "ai", "tool", "ai"]
    assert get_weather.asked == ["Paris"]
    assert told[2].content == "sunny in Paris"
    assert told[3].text == ANSWER


def test_a_streamed_loop(scripted_model, get_weather):
    agent = create_agent(scripted_model, [get_weather])
    pieces = agent.stream({"messages": [("human", ONE_CALL)]}, stream_mode="messages")
    texts = [piece.text for piece, of in pieces if of["langgraph_node"] == "model"]
    assert get_weather.asked == ["Paris"]
    assert "".join(texts) == ANSWER


def test_an_agents_answer_of_a_class(scripted_model, get_weather):
    """By default it is one more tool; some tool must be called in every step."""
    texts = [call("get_weather", city="Paris"), call("City", name="Paris", inhabitants=2_000_000)]
    agent = create_agent(scripted_model, [get_weather], response_format=City)
    told = agent.invoke({"messages": [("human", question(*texts))]})
    assert get_weather.asked == ["Paris"]
    assert told["structured_response"] == City(name="Paris", inhabitants=2_000_000)


def test_an_agents_answer_by_a_schema(scripted_model, get_weather):
    """The schema is asked for in every step, beside the tools."""
    city = {"name": "Paris", "inhabitants": 2_000_000}
    texts = [call("get_weather", city="Paris"), json.dumps(city)]
    agent = create_agent(scripted_model, [get_weather], response_format=ProviderStrategy(City))
    told = agent.invoke({"messages": [("human", question(*texts))]})
    assert get_weather.asked == ["Paris"]
    assert told["structured_response"] == City(**city)


def test_a_wrong_key(real):
    model = ChatOpenAI(model=MODEL, base_url=real.api_url, api_key="wrong")
    with pytest.raises(openai.AuthenticationError):
        model.invoke("Say hello.")


def test_too_many_requests(scripted, used_up_key):
    model = ChatOpenAI(model=MODEL, base_url=scripted.api_url, api_key=used_up_key, max_retries=0)
    with pytest.raises(openai.RateLimitError):
        model.invoke("Say hello.")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_prompt_that_is_too_long(model, streamed):
    with pytest.raises(ContextOverflowError):
        list(model.stream(TOO_LONG)) if streamed else model.invoke(TOO_LONG)


def test_a_stream_that_is_left(scripted_model, runs):
    stream = scripted_model.stream(ENDLESS)
    next(stream)
    assert runs()
    stream.close()
    wait_for(lambda: not runs())
