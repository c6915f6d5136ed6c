"""The official client of Anthropic for Python."""

import json

import anthropic
import pytest

from tests.support.clients import ANSWER, KEY, ONE_CALL, TOO_LONG
from tests.support.front_end import MODEL

HELLO = [{"role": "user", "content": "Say hello."}]
SHORT = {"model": MODEL, "max_tokens": 16}
WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
    },
}


@pytest.fixture(scope="module")
def client(real):
    with anthropic.Anthropic(base_url=real.url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def scripted_client(scripted):
    with anthropic.Anthropic(base_url=scripted.url, api_key=KEY, max_retries=0) as client:
        yield client


def test_a_message_and_its_tokens(client):
    message = client.messages.create(messages=HELLO, system="Be brief.", **SHORT)
    (block,) = message.content
    assert (block.type, bool(block.text)) == ("text", True)
    assert message.stop_reason in ("end_turn", "max_tokens")
    counted = client.messages.count_tokens(model=MODEL, messages=HELLO, system="Be brief.")
    read = message.usage.input_tokens + message.usage.cache_read_input_tokens
    assert counted.input_tokens == read


def test_a_stream(client):
    with client.messages.stream(messages=HELLO, **SHORT) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == final.content[0].text
    assert final.usage.input_tokens + final.usage.cache_read_input_tokens > 0
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True])
def test_a_loop_of_calls(scripted_client, streams):
    """A call, its result and the answer, whole and as a stream."""
    said = [{"role": "user", "content": ONE_CALL}]
    ask = {"model": MODEL, "max_tokens": 200, "tools": [WEATHER], "messages": said}

    def answer():
        if not streams:
            return scripted_client.messages.create(**ask)
        with scripted_client.messages.stream(**ask) as stream:
            return stream.get_final_message()

    first = answer()
    assert first.stop_reason == "tool_use"
    (call,) = first.content
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    said += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    last = answer()
    assert (last.stop_reason, last.content[0].text) == ("end_turn", ANSWER)


def test_thoughts_and_a_stop_sequence(scripted_client):
    script = json.dumps({"scripted": {"text": "one two three"}})
    said = [{"role": "user", "content": script}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = scripted_client.messages.create(
        model=MODEL, max_tokens=2000, messages=said, thinking=thinking, stop_sequences=["two"]
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "two")


def test_errors_are_those_of_its_own_api(client, scripted, used_up_key):
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(messages=HELLO, **SHORT | {"model": "nobody"})
    assert unknown.value.type == "not_found_error"
    assert unknown.value.request_id
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(messages=[{"role": "user", "content": TOO_LONG}], **SHORT)
    with (
        anthropic.Anthropic(base_url=scripted.url, api_key="wrong") as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(messages=HELLO, **SHORT)
    with (
        anthropic.Anthropic(base_url=scripted.url, api_key=used_up_key, max_retries=0) as spent,
        pytest.raises(anthropic.RateLimitError),
    ):
        spent.messages.create(messages=HELLO, **SHORT)
    with pytest.raises(anthropic.NotFoundError, match=r"MESSAGES\.md"):
        client.messages.batches.list()
