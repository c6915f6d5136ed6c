"""LiteLLM in a program, and its proxy before the service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anthropic
import litellm
import openai
import pytest
import yaml

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL, TOO_LONG, City
from tests.support.front_end import MODEL, free_port
from tests.support.waiting import wait_for

HELLO = [{"role": "user", "content": "Say hello."}]
#: The longest that the proxy may take to begin on a busy machine.
PROXY_WITHIN_S = 150.0
#: Each way in which it reaches a server that speaks OpenAI's API.
PROVIDERS = ("openai", "hosted_vllm")


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
}


def complete(service, messages, provider="openai", **options):
    return litellm.completion(
        model=f"{provider}/{MODEL}",
        api_base=service.api_url,
        messages=messages,
        **{"api_key": KEY, "num_retries": 0, **options},
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_chat(real, provider):
    answer = complete(real, HELLO, provider, max_tokens=16)
    (choice,) = answer.choices
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream(real, provider):
    chunks = list(complete(real, HELLO, provider, max_tokens=16, stream=True))
    assert litellm.stream_chunk_builder(chunks).choices[0].message.content


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_object_of_a_class(real, provider):
    answer = complete(real, HELLO, provider, response_format=City)
    assert City.model_validate_json(answer.choices[0].message.content)


def test_a_completion_of_a_text(real):
    answer = litellm.text_completion(
        model=f"text-completion-openai/{MODEL}",
        api_base=real.api_url,
        api_key=KEY,
        prompt="Once upon a time",
        max_tokens=8,
    )
    assert answer.choices[0].text


def followed_up(messages, message, get_weather):
    """The messages that go on after the calls of a message."""
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "name": call.function.name,
            "content": get_weather(**json.loads(call.function.arguments)),
        }
        for call in message.tool_calls
    ]
    return [*messages, message, *results]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_that_must_be_called(real, get_weather, provider):
    first = complete(real, HELLO, provider, tools=[WEATHER], tool_choice="required")
    assert first.choices[0].finish_reason == "tool_calls"
    messages = followed_up(HELLO, first.choices[0].message, get_weather)
    last = complete(real, messages, provider, tools=[WEATHER], tool_choice="none", max_tokens=16)
    assert last.choices[0].message.content
    assert get_weather.asked


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_loop(scripted, get_weather, stream, provider):
    messages = [{"role": "user", "content": ONE_CALL}]
    reasons = []
    while not reasons or reasons[-1] == "tool_calls":
        answer = complete(scripted, messages, provider, tools=[WEATHER], stream=stream)
        if stream:
            answer = litellm.stream_chunk_builder(list(answer))
        (choice,) = answer.choices
        reasons.append(choice.finish_reason)
        if choice.message.tool_calls:
            messages = followed_up(messages, choice.message, get_weather)
    assert reasons == ["tool_calls", "stop"]
    assert get_weather.asked == ["Paris"]
    assert choice.message.content == ANSWER


def test_a_wrong_key(real):
    with pytest.raises(litellm.AuthenticationError):
        complete(real, HELLO, api_key="wrong")


def test_too_many_requests(scripted, used_up_key):
    with pytest.raises(litellm.RateLimitError):
        complete(scripted, HELLO, api_key=used_up_key)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_prompt_that_is_too_long(real, provider):
    long = [{"role": "user", "content": TOO_LONG}]
    with pytest.raises(litellm.ContextWindowExceededError):
        complete(real, long, provider)


def test_a_stream_that_is_left(scripted, runs):
    stream = complete(scripted, [{"role": "user", "content": ENDLESS}], stream=True)
    next(stream)
    assert runs()
    stream.completion_stream.close()
    wait_for(lambda: not runs())


@pytest.fixture(scope="module")
def proxy(real, scripted, tmp_path_factory):
    """A client of the proxy, which knows both services."""
    directory = tmp_path_factory.mktemp("proxy")
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{MODEL}",
                "api_base": service.api_url,
                "api_key": KEY,
            },
        }
        for name, service in (("real", real), ("scripted", scripted))
    ]
    message = {"model": f"anthropic/{MODEL}", "api_base": real.url, "api_key": KEY}
    models.append({"model_name": "messages", "litellm_params": message})
    configuration = directory / "config.yaml"
    configuration.write_text(yaml.safe_dump({"model_list": models}))
    port = free_port()
    command = [Path(sys.executable).with_name("litellm"), "--config", configuration]
    with (directory / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "LITELLM_MASTER_KEY": "sk-proxy"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-proxy", max_retries=0
    ) as client:
        try:
            wait_for(lambda: process.poll() is not None or _serves(client), PROXY_WITHIN_S, 0.2)
            assert process.poll() is None, (directory / "proxy.log").read_text()[-4000:]
            yield client
        finally:
            process.terminate()
            process.wait(20)


def _serves(client):
    try:
        return client.models.list()
    except openai.APIConnectionError:
        return None


def test_a_chat_over_the_proxy(proxy):
    answer = proxy.chat.completions.create(model="real", messages=HELLO, max_tokens=16)
    assert answer.choices[0].message.content


def test_a_stream_over_the_proxy(proxy):
    chunks = proxy.chat.completions.create(model="real", messages=HELLO, max_tokens=16, stream=True)
    *_, last = [chunk for chunk in chunks if chunk.choices]
    assert last.choices[0].finish_reason in ("stop", "length")


def test_an_object_of_a_class_over_the_proxy(proxy):
    answer = proxy.chat.completions.parse(model="real", messages=HELLO, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


def test_a_loop_over_the_proxy(proxy, get_weather):
    messages = [{"role": "user", "content": ONE_CALL}]
    first = proxy.chat.completions.create(model="scripted", messages=messages, tools=[WEATHER])
    messages = followed_up(messages, first.choices[0].message, get_weather)
    last = proxy.chat.completions.create(model="scripted", messages=messages, tools=[WEATHER])
    assert get_weather.asked == ["Paris"]
    assert last.choices[0].message.content == ANSWER


def test_a_prompt_that_is_too_long_over_the_proxy(proxy):
    long = [{"role": "user", "content": TOO_LONG}]
    with pytest.raises(openai.BadRequestError, match="ContextWindowExceeded"):
        proxy.chat.completions.create(model="real", messages=long)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_over_the_proxy(proxy, stream):
    asked = {"model": "real", "input": "Say hello.", "max_output_tokens": 16}
    if stream:
        *_, last = proxy.responses.create(**asked, stream=True)
        assert last.type in ("response.completed", "response.incomplete")
        response = last.response
    else:
        response = proxy.responses.create(**asked)
    assert response.output_text
    assert response.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_over_the_proxy(proxy, stream):
    base_url = str(proxy.base_url).removesuffix("/v1/")
    asked = {"model": "messages", "messages": HELLO, "max_tokens": 16}
    with anthropic.Anthropic(base_url=base_url, api_key="sk-proxy", max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**asked)
    assert message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
