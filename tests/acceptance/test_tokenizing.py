"""Tokens of prompts and conversations, with the model's own tokenizer."""

import json
import time

import httpx
import pytest

from tests.support.front_end import MODEL

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells the weather.", "parameters": None},
}


def post(service, path, timeout=60, **body):
    return httpx.post(f"{service.url}{path}", json=body, timeout=timeout)


def tokenize(service, **body):
    answer = post(service, "/v1/tokenize", **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": [TOOL]},
        {"add_generation_prompt": False},
        {"messages": [{"role": "system", "content": "Be brief."}, *QUESTION]},
        {"messages": [{"role": "user", "content": "<|im_end|> \U0001f600 " * 20}]},
    ],
    ids=["a question", "tools", "no generation prompt", "a system message", "a long one"],
)
def test_a_conversation_is_counted_as_its_worker_counts_it(service, asked):
    body = {"model": MODEL, "messages": QUESTION, **asked}
    answered = service.post({**body, "max_tokens": 1, "temperature": 0})
    counted = tokenize(service, **body)
    assert counted["count"] == len(counted["tokens"]) == answered.json()["usage"]["prompt_tokens"]
    assert counted["max_model_len"] == 8192


def test_a_prompt_is_counted_as_its_worker_counts_it(service):
    for prompt in ("The capital of France is", "<|im_start|>user\nHi<|im_end|>\n"):
        answer = post(service, "/v1/completions", model=MODEL, prompt=prompt, max_tokens=1)
        counted = tokenize(service, model=MODEL, prompt=prompt)
        assert counted["count"] == answer.json()["usage"]["prompt_tokens"]
        text = post(service, "/v1/detokenize", model=MODEL, tokens=counted["tokens"]).json()
        assert text == {"prompt": prompt}


def test_vllms_addresses_answer_the_same(service):
    body = {"model": MODEL, "prompt": "The capital of France is"}
    assert post(service, "/tokenize", **body).json() == tokenize(service, **body)
    tokens = {"model": MODEL, "tokens": [504, 3575]}
    answers = [post(service, path, **tokens).json() for path in ("/detokenize", "/v1/detokenize")]
    assert answers[0] == answers[1]


def test_a_model_that_is_not_loaded_is_counted_for_and_one_that_is_not_named(service):
    other = tokenize(service, model=f"{MODEL}-b", prompt="Hello there")
    assert other["count"] == tokenize(service, prompt="Hello there")["count"] == 2
    assert service.get(f"/v1/models/{MODEL}-b").json()["status"] == "available"


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "words"),
    [
        ("/v1/tokenize", {"model": "phi4", "prompt": "a"}, 404, "MODEL_NOT_FOUND", "phi-4"),
        ("/v1/tokenize", {"model": "phi-4", "prompt": "a"}, 500, "MODEL_LOAD_FAILED", "pull phi-4"),
        ("/v1/tokenize", {"prompt": ["a"]}, 422, "VALIDATION_ERROR", "must be a string"),
        ("/tokenize", {"content": "a"}, 422, "VALIDATION_ERROR", "send prompt or messages"),
        ("/v1/detokenize", {"tokens": [49152]}, 422, "VALIDATION_ERROR", "are 0 to 49151"),
        ("/v1/detokenize", {"tokens": [-1]}, 422, "VALIDATION_ERROR", "tokens.0"),
        ("/v1/detokenize", {"tokens": [0] * 10**6}, 413, "PAYLOAD_TOO_LARGE", "values"),
        ("/v1/tokenize", {"prompt": "a" * 10**7}, 413, "PAYLOAD_TOO_LARGE", ""),
        ("/v1/tokenize", {"prompt": "a" * 10**6}, 413, "PAYLOAD_TOO_LARGE", "string"),
    ],
    ids=[
        "a misspelt model",
        "a model without its file",
        "several prompts",
        "llama-server's body",
        "an id beyond the vocabulary",
        "an id below 0",
        "a million ids",
        "ten megabytes",
        "a string over its bound",
    ],
)
def test_what_cannot_be_counted_is_refused_in_the_one_format(
    service, path, body, status, code, words
):
    began = time.monotonic()
    answer = post(service, path, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert words in error["message"]
    assert set(error) == {"code", "message", "type", "param", "provider", "details"}
    assert time.monotonic() - began < 10


def test_the_command_counts_too(service):
    assert service.run("tokenize", MODEL, "The capital of France is").stdout == "5\n"
    assert service.run("tokenize", MODEL, QUESTION[0]["content"], "--chat").stdout == "37\n"
    told = service.run("tokenize", MODEL, "The capital of France is", "--json").stdout
    assert json.loads(told)["tokens"] == [504, 3575, 282, 4649, 314]
    missing = service.run("tokenize", "phi-4", "a")
    assert missing.returncode == 1
    assert "pull phi-4" in missing.stderr


def test_a_prompt_longer_than_the_context_is_counted_all_the_same(service):
    counted = tokenize(service, model=MODEL, prompt="one two three. " * 10_000)
    assert counted["count"] > counted["max_model_len"]
