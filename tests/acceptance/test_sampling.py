"""What chat clients send of tokens and keep with a job, over HTTP, with the official client."""

import json

import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import await_end, job, read_events, submit
from tests.support.websocket import Socket

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
TEXT = "one two three four"
SCRIPT = {"text": TEXT}


@pytest.fixture(scope="module")
def client(service):
    with service.openai() as openai_client:
        yield openai_client


@pytest.fixture(scope="module")
def scripted(scripted_service):
    with scripted_service.openai() as openai_client:
        yield openai_client


def scripted_messages(script=None):
    return [{"role": "user", "content": json.dumps({"scripted": script or SCRIPT})}]


def test_logprobs_are_those_of_the_text(client):
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "temperature": 0}
    asked |= {"logprobs": True, "top_logprobs": 3}
    answer = client.chat.completions.create(**asked).choices[0]
    content = answer.logprobs.content
    assert "".join(entry.token for entry in content) == answer.message.content
    raw = bytes(byte for entry in content for byte in entry.bytes)
    assert raw.decode() == answer.message.content
    for entry in content:
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].token == entry.token
        assert entry.logprob == entry.top_logprobs[0].logprob <= 0
        assert entry.id >= 0
    assert answer.logprobs.refusal is None

    chunks = list(client.chat.completions.create(**asked, stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    for choice in choices:
        if choice.delta.content:
            said = [entry.token for entry in choice.logprobs.content]
            assert "".join(said) == choice.delta.content
    streamed = [e.token for c in choices if c.logprobs for e in c.logprobs.content]
    assert streamed == [entry.token for entry in content]


def test_a_text_completion_has_them_as_lists(client):
    asked = {"model": MODEL, "prompt": "The capital of France is", "temperature": 0}
    asked |= {"max_tokens": 6, "logprobs": 2}
    (choice,) = client.completions.create(**asked).choices
    told = choice.logprobs
    assert "".join(told.tokens) == choice.text
    assert len(told.token_logprobs) == len(told.text_offset) == len(told.top_logprobs) == 6
    assert {len(top) for top in told.top_logprobs} == {2}
    streamed = [c for part in client.completions.create(**asked, stream=True) for c in part.choices]
    tokens = [token for c in streamed if c.logprobs for token in c.logprobs.tokens]
    offsets = [offset for c in streamed if c.logprobs for offset in c.logprobs.text_offset]
    assert (tokens, offsets) == (told.tokens, told.text_offset)


def test_without_the_question_there_is_no_answer_to_it(client):
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=2)
    assert answer.choices[0].logprobs is None


def test_a_bias_and_a_stop_token_by_the_ids_that_logprobs_tell(client):
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "temperature": 0}
    first = client.chat.completions.create(**asked, logprobs=True).choices[0]
    ids = [entry.id for entry in first.logprobs.content]
    other = client.chat.completions.create(**asked, logprobs=True, logit_bias={str(ids[0]): -100})
    assert ids[0] not in [entry.id for entry in other.choices[0].logprobs.content]
    extra = {"stop_token_ids": [ids[4]]}
    stopped = client.chat.completions.create(**asked, extra_body=extra).choices[0]
    assert stopped.finish_reason == "stop"
    assert first.message.content.startswith(stopped.message.content)
    assert len(stopped.message.content) < len(first.message.content)


def test_an_id_that_the_model_has_not_is_refused_by_its_worker(service):
    answer = service.post(
        {"model": MODEL, "messages": QUESTION, "logit_bias": {"1000000": 1}, "stream": True}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "logit_bias"


def test_what_an_engine_cannot_do_is_refused_with_its_name(scripted_service):
    answer = scripted_service.post(scripted_service.ask(SCRIPT) | {"logit_bias": {"1": 1}})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("UNSUPPORTED_PARAMETER", "logit_bias")
    assert error["details"]["engine"] == "scripted"
    assert "scripted" in error["message"]


def test_a_jobs_readers_see_them_too(scripted_service):
    taken = submit(scripted_service, SCRIPT, logprobs=True, top_logprobs=1)
    ended = await_end(scripted_service, taken["id"])
    content = ended["result"]["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == TEXT
    events = [body for _, _, body in read_events(scripted_service, taken["id"])]
    tokens = [event for event in events if event["type"] == "token" and event["token_ids"]]
    told = [entry["token"] for event in tokens for entry in event["logprobs"]]
    assert "".join(told) == TEXT
    assert [place for event in tokens for place in event["content_tokens"]] == [0, 1, 2, 3]
    heard, _ = Socket(scripted_service, f"/v1/jobs/{taken['id']}/ws").rest()
    heard = [message for message in heard if message["type"] == "token"]
    assert [message.get("logprobs") for message in heard] == [
        event.get("logprobs") for event in events if event["type"] == "token"
    ]


def test_what_a_caller_keeps_with_a_job_is_shown_with_it(scripted_service):
    kept = {"metadata": {"run": "7"}, "store": True, "user": "u-1", "service_tier": "flex"}
    taken = submit(scripted_service, SCRIPT, **kept)
    ended = await_end(scripted_service, taken["id"])
    assert {name: ended[name] for name in kept} == kept
    assert ended["priority"] == 1
    assert ended["result"]["service_tier"] == "flex"
    assert "X-Ignored-Parameters" not in scripted_service.get(f"/v1/jobs/{taken['id']}").headers
    plain = submit(scripted_service, SCRIPT)
    assert not kept.keys() & await_end(scripted_service, plain["id"]).keys()


def test_a_tier_comes_back(scripted):
    asked = {"model": MODEL, "messages": scripted_messages(), "extra_body": {"metadata": {}}}
    tiers = {"auto": "default", "default": "default", "flex": "flex", "priority": "priority"}
    for tier, shown in tiers.items():
        answer = scripted.chat.completions.create(
            **asked, service_tier=tier, prompt_cache_key="k", store=False
        )
        assert answer.service_tier == shown
    *_, last = scripted.chat.completions.create(**asked, service_tier="flex", stream=True)
    assert last.service_tier == "flex"
    assert scripted.chat.completions.create(**asked).service_tier is None


def test_a_job_says_who_asked_while_it_runs(scripted_service):
    slow = {"text": TEXT, "tokens_per_s": 2}
    taken = submit(scripted_service, slow, user="u-2")
    assert job(scripted_service, taken["id"])["user"] == "u-2"
    scripted_service.delete(f"/v1/jobs/{taken['id']}")
