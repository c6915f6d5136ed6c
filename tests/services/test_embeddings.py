"""Embeddings and rankings as callers see them: one model embeds, one ranks, and one writes."""

import base64
import json
import os
import signal

import gguf
import httpx
import numpy as np
import openai
import pytest

from tests.support import embedding_model
from tests.support.front_end import MODEL
from tests.support.service_fixture import MANY, service_fixture
from tests.support.waiting import wait_for

EMBEDS = "random-bert"
RANKS = "random-reranker"


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    embedding_model.write(directory / f"{EMBEDS}.gguf")
    embedding_model.write(directory / f"{RANKS}.gguf", pooling=gguf.PoolingType.RANK)
    return directory


service = service_fixture(
    "A model that embeds and one that ranks beside the shipped one.",
    INFERENCE_MODELS_DIR=lambda request: str(request.getfixturevalue("models_dir")),
    INFERENCE_PRELOAD_MODELS=f"{MODEL},{EMBEDS},{RANKS}",
    INFERENCE_SEMANTIC_CACHE="true",
    INFERENCE_SEMANTIC_CACHE_MODEL=EMBEDS,
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


QUERY, DOCUMENTS = "where is it", ["it is here", {"text": "abc"}, "a. b, c"]


def ranked(service, path="/v1/rerank", **body):
    asked = {"model": RANKS, "query": QUERY, "documents": DOCUMENTS, **body}
    answer = httpx.post(f"{service.url}{path}", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_documents_are_ranked(service):
    body = ranked(service)
    scores = [result["relevance_score"] for result in body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(result["index"] for result in body["results"]) == [0, 1, 2]
    texts = ["it is here", "abc", "a. b, c"]
    assert all(each["document"] == {"text": texts[each["index"]]} for each in body["results"])
    letters = len("whereisit") * 3 + len("itishere" + "abc" + "a.b,c") + 3 * 3
    assert body["usage"] == {"prompt_tokens": letters, "total_tokens": letters}
    (best,) = ranked(service, top_n=1, return_documents=False)["results"]
    assert best == {name: body["results"][0][name] for name in ("index", "relevance_score")}


@pytest.mark.parametrize("path", ["/rerank", "/v2/rerank"])
def test_where_others_have_it_it_is_the_same(service, path):
    assert ranked(service, path)["results"] == ranked(service)["results"]


def test_a_ranking_as_a_job(service):
    """Its texts are in its result, and no longer in its record."""
    asked = {"query": QUERY, "documents": DOCUMENTS, "priority": 0, "model": RANKS}
    taken = post(service, asked, "/v1/jobs")
    assert taken.status_code == 202, taken.text
    address = taken.json()["status_url"]
    wait_for(lambda: service.get(address).json()["state"] == "completed", 60)
    assert service.get(address).json()["result"]["results"] == ranked(service)["results"]


def test_many_documents_come_in_their_order(service):
    """More than one event holds."""
    documents = [f"{number} x" for number in range(2048)]
    documents[7] += " " * 400_000
    results = ranked(service, documents=documents)["results"]
    assert sorted(result["index"] for result in results) == list(range(2048))
    assert all(each["document"]["text"] == documents[each["index"]] for each in results)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"query": None}, 422, "query"),
        ({"query": ""}, 422, "query"),
        ({"documents": None}, 422, "documents"),
        ({"documents": []}, 422, "documents"),
        ({"documents": "a"}, 422, "documents"),
        ({"documents": ["a", 1]}, 422, "documents"),
        ({"documents": [{"title": "a"}]}, 422, "documents"),
        ({"documents": ["a"] * 2049}, 422, "documents"),
        ({"documents": ["a" * 600_000]}, 422, "documents"),
        ({"documents": ["a", "a " * 100]}, 400, "documents.1"),
        ({"query": "a " * 100}, 400, "query"),
        ({"top_n": 0}, 422, "top_n"),
        ({"messages": []}, 400, "messages"),
        ({"max_tokens_per_doc": 10}, 400, "max_tokens_per_doc"),
        ({"model": EMBEDS}, 400, "model"),
        ({"model": MODEL}, 400, "model"),
        ({"model": "auto"}, 404, "model"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_is_wrong_with_a_ranking_is_named(service, body, status, param):
    asked = {"model": RANKS, "query": QUERY, "documents": DOCUMENTS, **body}
    answer = post(service, asked, "/v1/rerank")
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def test_tokens_are_counted_as_the_model_reads_them(service):
    counted = post(service, {"prompt": "one text"}, "/v1/tokenize").json()
    read = post(service, {"input": "one text"}).json()["usage"]["prompt_tokens"]
    assert (counted["count"], counted["max_model_len"]) == (read, embedding_model.CONTEXT)
    by_ids = embedded(post(service, {"input": counted["tokens"]}))
    assert np.allclose(by_ids, embedded(post(service, {"input": "one text"})), atol=1e-6)
    body = {"messages": [{"role": "user", "content": "a"}]}
    assert post(service, body, "/v1/tokenize").json()["error"]["code"] == "WRONG_MODEL_KIND"


def test_the_commands_give_the_same(service):
    made = service.run("embed", EMBEDS, "one text", "another", "--dimensions", "4")
    expected = embedded(post(service, {"input": ["one text", "another"], "dimensions": 4}))
    assert np.allclose([json.loads(line) for line in made.stdout.splitlines()], expected)
    from_input = service.run("embed", EMBEDS, "--dimensions", "4", input="one text\n\nanother\n")
    assert from_input.stdout == made.stdout
    texts = [each["text"] if isinstance(each, dict) else each for each in DOCUMENTS]
    best = ranked(service, top_n=1)["results"][0]
    told = service.run("rerank", RANKS, QUERY, *texts, "--top-n", "1")
    assert told.stdout == f"{best['relevance_score']:.4f}\t{best['document']['text']}\n"
    nothing = service.run("embed", EMBEDS, input="\n")
    assert (nothing.returncode, "There is no text" in nothing.stderr) == (1, True)


def test_a_model_that_ranks_says_where_documents_go(service):
    for path, body in (
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
    ):
        error = post(service, {**body, "model": RANKS}, path).json()["error"]
        assert error["code"] == "WRONG_MODEL_KIND"
        assert "POST /v1/rerank" in error["message"]


def test_its_worker_finds_answers_that_were_given(service):
    """Hashes of the files are made after the start: until then nothing is looked up or kept."""
    body = service.ask("Say hi.", temperature=0)
    answers = []

    def is_found():
        answers.append(service.post(body))
        return answers[-1].headers["X-Cache"] == "hit"

    wait_for(is_found, 100)
    found, made = answers[-1].json(), answers[-2].json()
    assert found["choices"] == made["choices"]
    assert found["usage"]["cached"]
    for pid in service.worker_pids(EMBEDS):
        os.kill(pid, signal.SIGKILL)
    assert service.post(body).status_code == 200
    wait_for(is_found, 100)  # the next worker reads what there is


def test_a_worker_that_dies_in_a_batch_loses_no_request(service):
    """The texts of two callers are computed together when it is killed; both get all vectors."""
    words = [f"{number} {'x' * 50}" for number in range(200)]
    asked = [words, words[::-1]]
    taken = [post(service, {"input": texts}, "/v1/jobs").json()["status_url"] for texts in asked]
    wait_for(lambda: service.get(taken[1]).json()["state"] != "queued", 60)
    for pid in service.worker_pids(EMBEDS):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all("result" in service.get(each).json() for each in taken), 120)
    results = [service.get(each).json()["result"] for each in taken]
    first, second = (np.array([e["embedding"] for e in each["data"]]) for each in results)
    assert first.shape == (200, embedding_model.WIDTH)
    assert np.allclose(first, second[::-1], atol=1e-5)
    few = embedded(post(service, {"input": [words[0], words[199]]}))
    assert np.allclose(first[[0, 199]], few, atol=1e-5)
