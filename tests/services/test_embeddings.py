"""Embeddings as callers see them: one model embeds, and one writes."""

import base64
import json
import os
import signal

import httpx
import numpy as np
import openai
import pytest

from tests.support import embedding_model
from tests.support.front_end import MODEL
from tests.support.service_fixture import MANY, service_fixture
from tests.support.waiting import wait_for

EMBEDS = "random-bert"


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    embedding_model.write(directory / f"{EMBEDS}.gguf")
    return directory


service = service_fixture(
    "A model that embeds beside the shipped one.",
    INFERENCE_MODELS_DIR=lambda request: str(request.getfixturevalue("models_dir")),
    INFERENCE_PRELOAD_MODELS=f"{MODEL},{EMBEDS}",
    **MANY,
)


@pytest.fixture(scope="module")
def client(service):
    with openai.OpenAI(base_url=service.api_url, api_key="none", max_retries=0) as client:
        yield client


def post(service, body, path="/v1/embeddings", **options):
    body = {"model": EMBEDS, **body}
    return httpx.post(f"{service.url}{path}", json=body, timeout=120, **options)


def embedded(answer):
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]])


def test_the_official_client(client):
    texts = ["one text", "another", "a third one"]
    asked = client.embeddings.create(model=EMBEDS, input=texts)  # as base64
    floats = client.embeddings.create(model=EMBEDS, input=texts, encoding_format="float")
    vectors = np.array([entry.embedding for entry in asked.data])
    assert [entry.index for entry in asked.data] == [0, 1, 2]
    assert np.allclose(vectors, [entry.embedding for entry in floats.data], atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = client.embeddings.create(model=EMBEDS, input=texts[1], dimensions=4)
    assert np.allclose(
        alone.data[0].embedding, vectors[1, :4] / np.linalg.norm(vectors[1, :4]), atol=1e-5
    )
    letters = sum(len(text.replace(" ", "")) + 2 for text in texts)
    assert asked.usage.prompt_tokens == asked.usage.total_tokens == letters


def test_token_ids(service):
    place = embedding_model.vocabulary().index
    cls, a, b, sep = map(place, ("[CLS]", "▁a", "b", "[SEP]"))
    text = embedded(post(service, {"input": "ab"}))
    ids = embedded(post(service, {"input": [cls, a, b, sep]}))
    several = embedded(post(service, {"input": [[cls, a, b, sep], [cls, b, sep]]}))
    assert np.allclose(ids, text, atol=1e-6)
    assert np.allclose(several[:1], text, atol=1e-6)
    assert several.shape == (2, embedding_model.WIDTH)


def test_as_many_texts_as_may_be_come_in_their_order(service):
    words = [f"{number} x" for number in range(2048)]
    answer = post(service, {"input": words})
    vectors = embedded(answer)
    assert vectors.shape == (2048, embedding_model.WIDTH)
    places = [0, 7, 1000, 2047]
    few = embedded(post(service, {"input": [words[place] for place in places]}))
    assert np.allclose(vectors[places], few, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "input"),
        ({"input": ""}, 422, "input"),
        ({"input": []}, 422, "input"),
        ({"input": ["a", ""]}, 422, "input"),
        ({"input": [[]]}, 422, "input"),
        ({"input": {"text": "a"}}, 422, "input"),
        ({"input": ["a", 1]}, 422, "input"),
        ({"input": [1.5]}, 422, "input"),
        ({"input": [-1]}, 422, "input"),
        ({"input": [2, 1_000_000, 3]}, 422, "input"),
        ({"input": [[2], [1_000_000]]}, 422, "input.1"),
        ({"input": ["a"] * 10_000}, 422, "input"),
        ({"input": [[1]] * 2049}, 422, "input"),
        ({"input": "a " * 100}, 400, "input"),
        ({"input": ["a", "a " * 100]}, 400, "input.1"),
        ({"input": ["a", "a" * 600_000], "truncate": True}, 422, "input"),
        ({"input": "a", "dimensions": 0}, 422, "dimensions"),
        ({"input": "a", "dimensions": 33}, 422, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, 422, "encoding_format"),
        ({"input": "a", "messages": []}, 400, "messages"),
        ({"input": "a", "prompt": "a"}, 400, "prompt"),
        ({"input": "a", "model": MODEL}, 400, "model"),
        ({"input": "a", "model": "auto"}, 404, "model"),
        ({"input": "a", "model": "nobody"}, 404, "model"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_is_wrong_is_named(service, body, status, param):
    answer = post(service, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def test_too_many_values_are_not_looked_at(service):
    assert post(service, {"input": [1] * 400_000}).status_code == 413


def test_a_text_that_is_too_long_is_read_as_far_as_it_fits(service):
    answer = post(service, {"input": "a " * 100, "truncate": True})
    assert embedded(answer).shape == (1, embedding_model.WIDTH)
    assert answer.json()["usage"]["prompt_tokens"] == embedding_model.CONTEXT


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/jobs", "/v1/completions"])
def test_a_model_that_embeds_says_where_texts_go(service, path):
    messages = {"messages": [{"role": "user", "content": "a"}]}
    body = {"prompt": "a"} if path == "/v1/completions" else messages
    answer = post(service, body, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "WRONG_MODEL_KIND")
    assert "POST /v1/embeddings" in answer.json()["error"]["message"]


def test_a_model_that_writes_says_where_messages_go(service):
    error = post(service, {"input": "a", "model": MODEL}).json()["error"]
    assert (error["code"], "POST /v1/chat/completions" in error["message"]) == (
        "WRONG_MODEL_KIND",
        True,
    )


def test_a_job(service):
    """Bulk work: listed, kept, with its vectors as events and as result."""
    asked = {"input": ["a", "b"], "priority": 0, "encoding_format": "base64"}
    taken = post(service, {**asked, "metadata": {"k": "v"}}, "/v1/jobs")
    assert taken.status_code == 202
    address = taken.json()["status_url"]
    wait_for(lambda: service.get(address).json()["state"] == "completed", 60)
    job = service.get(address).json()
    result = job["result"]
    vectors = embedded(post(service, {"input": ["a", "b"]}))
    raw = [base64.b64decode(entry["embedding"]) for entry in result["data"]]
    assert np.allclose([np.frombuffer(each, "<f4") for each in raw], vectors, atol=1e-6)
    assert (result["usage"]["total_tokens"], job["metadata"]) == (6, {"k": "v"})
    (step,) = job["steps"]
    assert (step["model"], step["usage"]["prompt_tokens"]) == (EMBEDS, 6)
    events = service.get(f"{address}/events").text
    assert [line[7:] for line in events.splitlines() if line.startswith("event: ")] == [
        "queued", "started", "vectors", "completed",
    ]  # fmt: skip


def test_the_same_key_attaches_to_the_same_job(service):
    key = {"Idempotency-Key": "embeddings"}
    first, again = (post(service, {"input": "a"}, headers=key) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_it_is_a_model_among_others(service):
    listed = {entry["id"]: entry for entry in service.get("/v1/models").json()["data"]}
    entry = listed[EMBEDS]
    assert (entry["capabilities"], entry["roles"]) == (["embedding"], [])
    assert (entry["status"], entry["context_length"]) == ("loaded", embedding_model.CONTEXT)


def test_what_it_read_is_counted(service):
    post(service, {"input": "a"})

    def counted():
        lines = service.get("/metrics").text.splitlines()
        return any(
            f'"{EMBEDS}"' in line and 'embeddings"' in line and "_count" in line for line in lines
        )

    wait_for(counted, 60)


def test_a_worker_that_dies_loses_no_request(service):
    for pid in service.worker_pids(EMBEDS):
        os.kill(pid, signal.SIGKILL)
    vectors = embedded(post(service, {"input": ["a", "b"]}))
    assert vectors.shape == (2, embedding_model.WIDTH)
