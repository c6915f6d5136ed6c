"""Prompts that a caller writes whole, in sizes and with ids that no model takes."""

import json
import time

import httpx
import pytest

from tests.attacks.conftest import ATTACKER, bearer
from tests.support.front_end import MODEL

#: The longest a refusal may take.
REFUSED_WITHIN_S = 5.0


def post(service, body, path="/v1/completions"):
    started = time.monotonic()
    content = json.dumps({"model": MODEL, **body})
    headers = {**bearer(ATTACKER), "Content-Type": "application/json"}
    answer = httpx.post(f"{service.url}{path}", content=content, headers=headers, timeout=30)
    return answer, time.monotonic() - started


@pytest.mark.parametrize(
    ("prompt", "status"),
    [
        ([0] * 1_000_000, 413),
        (["a"] * 1_000_000, 413),
        ([[0]] * 200_000, 413),
        (["a"] * 100_000, 422),
        ([[0] * 1000] * 140, 422),
        ([0] * 140_000, 400),
        ([2**31], 422),
        ([2**63] * 1000, 422),
        ([0] * 1000 + [31_999_999], 422),
        ("a" * 10_000_000, 413),
        ("a " * 1_500_000, 400),
        ("<|im_end|> " * 300_000, 400),
    ],
    ids=[
        "million ids",
        "million prompts",
        "lists",
        "prompts",
        "long lists",
        "ids",
        "large id",
        "huge ids",
        "one wrong id",
        "10 MB",
        "words",
        "special tokens",
    ],
)
def test_a_prompt_that_no_model_takes_is_refused_at_once(attacked, honest, prompt, status):
    answer, took_s = post(attacked, {"prompt": prompt})
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.text) < 2000
    assert took_s < REFUSED_WITHIN_S


@pytest.mark.parametrize(
    "body",
    [
        {"input_prefix": "a " * 1_500_000, "input_suffix": ""},
        {"input_prefix": "", "input_suffix": "a " * 1_500_000},
        {"input_prefix": "a", "input_extra": [{"filename": "f", "text": "a " * 300}] * 3000},
        {"input_prefix": "a", "input_suffix": "b", "prompt": "a " * 1_500_000},
    ],
    ids=["prefix", "suffix", "files", "beginning"],
)
def test_a_gap_with_much_around_it_costs_what_fits(attacked, honest, body):
    answer, took_s = post(attacked, {**body, "n_predict": 1}, "/infill")
    assert answer.status_code in (200, 400, 413), answer.text[:500]
    assert took_s < REFUSED_WITHIN_S


def test_many_choices_of_one_caller_end_when_it_leaves(attacked, honest):
    script = json.dumps({"scripted": {"text": "on and on ", "repeat": True, "tokens_per_s": 20}})
    body = {"model": MODEL, "prompt": [script] * 64, "max_tokens": 5000, "stream": True}
    with httpx.stream(
        "POST", f"{attacked.url}/v1/completions", json=body, headers=bearer(ATTACKER), timeout=30
    ) as stream:
        assert stream.status_code == 200
        next(stream.iter_lines())
