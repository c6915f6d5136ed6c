"""What a stranger may let the tokenizer count, while an honest client streams."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.attacks.conftest import ATTACKER, bearer
from tests.support.front_end import MODEL

#: The longest a refusal may take that needs no counting, and the longest any answer may take.
REFUSED_WITHIN_S, ANSWERED_WITHIN_S = 5.0, 20.0
#: Longer than the texts that one call may have.
TOO_LONG = 2**19 + 1


def post(service, path, body, timeout=60):
    started = time.monotonic()
    content = json.dumps({"model": MODEL, **body})
    headers = {**bearer(ATTACKER), "Content-Type": "application/json"}
    answer = httpx.post(f"{service.url}{path}", content=content, headers=headers, timeout=timeout)
    return answer, time.monotonic() - started


def asking(*contents):
    return {"messages": [{"role": "user", "content": content} for content in contents]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/tokenize", {"prompt": "a" * 10_000_000}, 413),
        ("/tokenize", {"prompt": "a " * (TOO_LONG // 2 + 1)}, 413),
        ("/v1/tokenize", asking("a" * TOO_LONG), 413),
        ("/v1/tokenize", asking(*["a"] * 5000), 422),
        ("/v1/detokenize", {"tokens": [0] * 1_000_000}, 413),
        ("/v1/detokenize", {"tokens": [[0]] * 100_000}, 422),
        ("/detokenize", {"tokens": [2**31]}, 422),
    ],
    ids=[
        "10 MB",
        "a long prompt",
        "a long message",
        "many messages",
        "a million ids",
        "lists",
        "a huge id",
    ],
)
def test_what_no_model_reads_is_refused_at_once(attacked, honest, path, body, status):
    answer, took_s = post(attacked, path, body)
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.text) < 2000
    assert took_s < REFUSED_WITHIN_S


def test_an_id_that_the_model_has_not_is_refused_by_its_tokenizer(attacked, honest):
    answer, took_s = post(attacked, "/v1/detokenize", {"tokens": [0] * 1000 + [2**30]})
    assert answer.status_code == 422, answer.text[:500]
    assert took_s < ANSWERED_WITHIN_S  # it may have to start first


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tokenize", {"prompt": "one two three " * 37_000}),
        ("/v1/tokenize", {"prompt": "a" * 2**19}),
        ("/v1/tokenize", asking("<|im_end|> " * 47_000)),
        ("/v1/tokenize", {"prompt": " " * 2**19}),
        ("/v1/tokenize", asking(*["\ufffd\U0001f600 " * 20] * 4000)),
        ("/v1/detokenize", {"tokens": [31_999] * 299_000}),
    ],
    ids=["words", "one word", "special tokens", "spaces", "many messages", "ids"],
)
def test_the_most_that_is_counted_costs_the_others_nothing(attacked, honest, path, body):
    answer, took_s = post(attacked, path, body)
    assert answer.status_code in (200, 422), answer.text[:500]
    assert took_s < ANSWERED_WITHIN_S


@pytest.mark.timeout(180)
def test_many_that_count_at_once_are_bounded(attacked, honest):
    body = {"prompt": "one two three " * 30_000}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(attacked, "/v1/tokenize", body)[0], range(20)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    answer, _ = post(attacked, "/v1/tokenize", {"prompt": "Hello there"})
    assert answer.json()["count"] == 2
