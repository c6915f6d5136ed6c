"""Answers of the shipped model, asked for with the official client."""

import asyncio
import json
import re

import httpx
import openai
import pytest

from tests.support.front_end import MODEL

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


@pytest.fixture(scope="module")
def client(service):
    with service.openai() as openai_client:
        yield openai_client


def test_a_plain_answer(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=40
    )
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens > 10
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_plain_answer_tells_how_it_came_about(service):
    request = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 8}
    answer = service.post(request)
    assert answer.status_code == 200
    body = answer.json()
    assert body["orchestration"] == {"mode": "single", "models_used": [MODEL], "rounds": 1}
    assert body["inference_metadata"] == {
        "config": None,
        "orchestration_mode": "single",
        "models_used": [MODEL],
        "handoff_steps": 0,
        "compression_applied": False,
        "context_utilization": round(body["usage"]["total_tokens"] / 8192, 2),
    }
    assert body["usage"]["prompt_tokens_details"].keys() == {"cached_tokens"}


def test_a_stream_says_the_same_as_a_plain_answer(client):
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 40, "seed": 3, "temperature": 0}
    plain = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "Paris" in text
    assert text == plain.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == plain.usage.prompt_tokens


def test_a_stream_grows_while_it_is_decoded(service):
    body = service.ask("Tell me a long story about the sea.", max_tokens=60, temperature=0)
    with service.open_stream(body) as stream:
        assert len(list(stream.contents())) > 20


def test_the_shape_of_a_stream(service):
    body = service.ask("Say hello.", max_tokens=6, temperature=0)
    with service.open_stream(body) as stream:
        assert stream.answer.status == 200
        assert stream.answer.getheader("Content-Type").startswith("text/event-stream")
        events = list(stream.events())
        assert stream.answer.getheader("Cache-Control") == "no-cache"
        assert stream.answer.getheader("X-Accel-Buffering") == "no"
    assert events[-1] == "[DONE]"
    frames = [json.loads(event) for event in events[:-1]]
    assert {frame["object"] for frame in frames} == {"chat.completion.chunk"}
    assert {frame["model"] for frame in frames} == {MODEL}
    assert len({frame["id"] for frame in frames}) == 1
    assert len({frame["created"] for frame in frames}) == 1
    assert frames[0]["id"].startswith("chatcmpl-")
    choices = [frame["choices"] for frame in frames]
    assert all(len(choice) == 1 and choice[0]["index"] == 0 for choice in choices)
    assert choices[0][0]["delta"]["role"] == "assistant"
    assert all(set(choice[0]["delta"]) == {"content"} for choice in choices[1:-1])
    assert choices[-1][0]["delta"] == {}
    assert [choice[0]["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1][0]["finish_reason"] == "length"
    assert frames[-1]["orchestration"]["mode"] == "single"
    assert frames[-1]["inference_metadata"]["models_used"] == [MODEL]
    assert all("orchestration" not in frame for frame in frames[:-1])
    assert all("usage" not in frame or frame["usage"] is None for frame in frames)


def test_the_usage_frame_comes_only_when_asked_for(service):
    body = service.ask("Say hello.", max_tokens=3, stream_options={"include_usage": True})
    with service.open_stream(body) as stream:
        events = list(stream.events())
    assert events[-1] == "[DONE]"
    last = json.loads(events[-2])
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3
    assert json.loads(events[-3])["choices"][0]["finish_reason"] == "length"


def test_every_frame_has_a_number(service):
    with service.open_stream(service.ask(max_tokens=4)) as stream:
        lines = [line.decode().strip() for line in stream.answer]
    numbers = [int(line[4:]) for line in lines if line.startswith("id: ")]
    assert numbers
    assert numbers == sorted(numbers)


def test_stop_strings(client):
    asked = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 40}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    stop = whole[8:14]
    answer = client.chat.completions.create(**asked, stop=[stop])
    assert answer.choices[0].message.content == whole.partition(stop)[0]
    assert answer.choices[0].finish_reason == "stop"


def test_a_seed_repeats_an_answer(client):
    asked = {"model": MODEL, "messages": QUESTION, "temperature": 1.5, "max_tokens": 12, "seed": 5}
    texts = {client.chat.completions.create(**asked).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1


def test_a_conversation_with_every_kind_of_message(client):
    """As a gateway writes them: all fields in every message, null where they are not used."""
    nothing = {"name": None, "tool_calls": None, "tool_call_id": None}
    call = {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "You are brief.", **nothing},
        {"role": "user", "content": [{"type": "text", "text": "What time is it?"}], **nothing},
        {"role": "assistant", "content": None, **nothing, "tool_calls": [call]},
        {"role": "tool", "content": "12:00", **nothing, "tool_call_id": "c1"},
        {"role": "user", "content": "Thank you.", **nothing},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=8)
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("prefix", ["inference:", "local:"])
def test_a_gateways_prefix_is_taken_off(client, prefix):
    answer = client.chat.completions.create(model=prefix + MODEL, messages=QUESTION, max_tokens=2)
    assert answer.model == MODEL


def test_the_models(client, service):
    models = client.models.list()
    assert models.data[0].id == MODEL
    entry = service.get("/v1/models").json()["data"][0]
    assert entry["object"] == "model"
    assert entry["status"] == "loaded"
    assert entry["context_length"] == 8192
    assert entry["memory_mb"] > 100
    assert entry["roles"] == ["primary", "fast"]
    assert entry["format"] == "q8_0"


def test_a_prompt_longer_than_the_context(client, service):
    """Refused with the numbers, in a plain answer and before a stream starts."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "word " * 9000}]}
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**asked, stream=stream)
        error = refused.value.body
        assert error["code"] == "CONTEXT_BUDGET_EXCEEDED"
        assert error["type"] == "non_retriable"
        assert error["details"]["budget"] == 8192
        assert error["details"]["current_tokens"] > 9000
        assert re.search(r"\b8192\b", error["message"])


def test_100_at_once_are_all_answered(service):
    """Far more than run at once: the rest waits in the queue."""

    async def ask(client, number):
        body = service.ask(f"Say the number {number}.", max_tokens=4, temperature=0)
        answer = await client.post("/v1/chat/completions", json=body)
        return answer.status_code, answer.json()["usage"]["completion_tokens"]

    async def ask_all():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.url, timeout=100, limits=limits) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(100)))

    answers = asyncio.run(ask_all())
    assert [status for status, _ in answers] == [200] * 100
    assert all(1 <= tokens <= 4 for _, tokens in answers)


def test_an_answer_that_follows_a_schema(client):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 100, "temperature": 0}
    answer = client.chat.completions.create(**asked, response_format=form)
    assert answer.choices[0].finish_reason == "stop"
    assert set(json.loads(answer.choices[0].message.content)) == {"city", "people"}


SCHEMA = "response_format.json_schema"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema"}, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, f"{SCHEMA}.schema"),
        ({"type": "json_schema", "json_schema": {"schema": {"pattern": "("}}}, f"{SCHEMA}.schema"),
    ],
)
def test_a_format_that_cannot_be_used_is_422_and_named(client, form, param):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model=MODEL, messages=QUESTION, response_format=form)
    assert refused.value.body["details"]["param"] == param


def test_an_unknown_task_type_is_answered_with_a_warning(service):
    answer = service.post(service.ask(max_tokens=1, task_type="juggle"))
    assert answer.status_code == 200
    assert "juggle" in answer.headers["Warning"]
    assert "Warning" not in service.post(service.ask(max_tokens=1, task_type="code")).headers
