"""What a body may say of tokens, and what is refused of it."""

import pytest

from web.schemas import completion
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.job import Api, Priority
from workers.contract.sampling import Sampling


def load(**fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return completion.load(body, Priority.NORMAL, most_messages=10)


def test_what_nobody_asked_for_is_not_asked_of_the_engine():
    assert load().sampling == Sampling()
    nothing = {
        "logprobs": False,
        "top_logprobs": 0,
        "logit_bias": {},
        "min_tokens": 0,
        "ignore_eos": False,
        "repetition_penalty": 1,
        "typical_p": 1,
        "top_n_sigma": 0,
        "xtc_probability": 0,
        "dry_multiplier": 0,
        "stop_token_ids": [],
        "include_stop_str_in_output": False,
        "metadata": {},
        "store": False,
    }
    assert load(**nothing).sampling.extras == ()


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 20}, {"logprobs": 20}),
        ({"logit_bias": {"5": -100, "7": 0.5}}, {"logit_bias": ((5, -100.0), (7, 0.5))}),
        ({"logit_bias": [[5, 1], [5, 2]]}, {"logit_bias": ((5, 2.0),)}),
        ({"min_tokens": 5, "max_tokens": 5}, {"min_tokens": 5, "max_tokens": 5}),
        ({"repeat_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"repeat_penalty": 2, "repetition_penalty": 2.0}, {"repetition_penalty": 2.0}),
        ({"repeat_last_n": -1}, {"repeat_last_n": -1}),
        ({"stop_token_ids": [1, 2.0]}, {"stop_token_ids": (1, 2)}),
        ({"dry_sequence_breakers": ["\n"]}, {"dry_sequence_breakers": ("\n",)}),
        ({"top_n_sigma": -1}, {}),
    ],
)
def test_fields_become_the_sampling(fields, sampling):
    assert load(**fields).sampling == Sampling(**sampling)


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("logprobs", {"logprobs": 5}),
        ("top_logprobs", {"top_logprobs": 5}),
        ("top_logprobs", {"logprobs": False, "top_logprobs": 5}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("logit_bias", {"logit_bias": "5"}),
        ("logit_bias", {"logit_bias": {"five": 1}}),
        ("logit_bias", {"logit_bias": {"-1": 1}}),
        ("logit_bias", {"logit_bias": {"\u0665": 1}}),
        ("logit_bias", {"logit_bias": {str(2**31): 1}}),
        ("logit_bias.5", {"logit_bias": {"5": 101}}),
        ("logit_bias.5", {"logit_bias": {"5": "much"}}),
        ("logit_bias.5", {"logit_bias": [[5, False]]}),
        ("logit_bias", {"logit_bias": [[5]]}),
        ("logit_bias", {"logit_bias": [[None, 1]]}),
        ("logit_bias.5", {"logit_bias": {"5": None}}),
        ("logit_bias", {"logit_bias": {str(i): 1 for i in range(301)}}),
        ("min_tokens", {"min_tokens": -1}),
        ("min_tokens", {"min_tokens": 6, "max_tokens": 5}),
        ("min_tokens", {"min_tokens": 6, "max_completion_tokens": 5}),
        ("ignore_eos", {"ignore_eos": 1}),
        ("repetition_penalty", {"repetition_penalty": 0}),
        ("repeat_penalty", {"repetition_penalty": 1.2, "repeat_penalty": 1.1}),
        ("repeat_last_n", {"repeat_last_n": -2}),
        ("typical_p", {"typical_p": 1.5}),
        ("top_n_sigma", {"top_n_sigma": float("nan")}),
        ("xtc_probability", {"xtc_probability": 2}),
        ("xtc_threshold", {"xtc_threshold": -1}),
        ("dry_multiplier", {"dry_multiplier": -1}),
        ("dry_base", {"dry_base": 0.5}),
        ("dry_allowed_length", {"dry_allowed_length": 0}),
        ("dry_penalty_last_n", {"dry_penalty_last_n": "all"}),
        ("dry_sequence_breakers", {"dry_sequence_breakers": ["x"] * 9}),
        ("dry_sequence_breakers.0", {"dry_sequence_breakers": ["x" * 41]}),
        ("dry_sequence_breakers.1", {"dry_sequence_breakers": ["x", ""]}),
        ("stop_token_ids", {"stop_token_ids": 5}),
        ("stop_token_ids.0", {"stop_token_ids": [-1]}),
        ("stop_token_ids.0", {"stop_token_ids": [None]}),
        ("stop_token_ids", {"stop_token_ids": [1] * 129}),
        ("include_stop_str_in_output", {"include_stop_str_in_output": "yes"}),
        ("metadata", {"metadata": "x"}),
        ("metadata.a", {"metadata": {"a": 1}}),
        ("metadata.a", {"metadata": {"a": "x" * 513}}),
        ("metadata", {"metadata": {"a" * 65: "x"}}),
        ("metadata", {"metadata": {str(i): "x" for i in range(17)}}),
        ("store", {"store": "yes"}),
        ("service_tier", {"service_tier": "gold"}),
        ("service_tier", {"service_tier": "flex", "priority": 3}),
        ("prompt_cache_key", {"prompt_cache_key": "x" * 513}),
        ("prompt_cache_key", {"prompt_cache_key": 5}),
    ],
)
def test_what_is_wrong_is_named(param, fields):
    with pytest.raises(ValidationFailed) as refused:
        load(**fields)
    assert refused.value.details["param"] == param
    assert param.partition(".")[0] in refused.value.message


def test_a_million_biases_are_refused_at_their_number():
    with pytest.raises(ValidationFailed, match="at most 300"):
        load(logit_bias=[[1, "x"]] * 1_000_000)


@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ({}, Priority.NORMAL),
        ({"service_tier": "auto"}, Priority.NORMAL),
        ({"service_tier": "default"}, Priority.NORMAL),
        ({"service_tier": "flex"}, Priority.LOW),
        ({"service_tier": "priority"}, Priority.HIGH),
        ({"service_tier": "priority", "priority": 3}, Priority.HIGH),
        ({"service_tier": "auto", "priority": 1}, Priority.LOW),
    ],
)
def test_a_tier_is_a_priority(fields, priority):
    assert load(**fields).priority is priority


def test_auto_leaves_it_to_what_the_key_allows():
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "service_tier": "auto"}
    assert completion.load(body, Priority.LOW, most_messages=10).priority is Priority.LOW


@pytest.mark.parametrize(("sent", "told"), [(None, None), (0, 0), (5, 5), (20, 20)])
def test_a_text_completion_says_the_number_of_alternatives(sent, told):
    body = {"model": "m", "prompt": "Hi", "logprobs": sent}
    asked = completion.load(body, Priority.NORMAL, most_messages=10, api=Api.TEXT)
    assert asked.sampling.logprobs == told


@pytest.mark.parametrize(
    "fields", [{"logprobs": 21}, {"logprobs": True}, {"logprobs": 1, "echo": True}]
)
def test_what_is_wrong_of_it_is_named(fields):
    body = {"model": "m", "prompt": "Hi", **fields}
    with pytest.raises(ValidationFailed) as refused:
        completion.load(body, Priority.NORMAL, most_messages=10, api=Api.TEXT)
    assert refused.value.details["param"] == "logprobs"


def test_a_gap_has_none():
    body = {"model": "m", "input_prefix": "a", "logprobs": True}
    with pytest.raises(UnsupportedParameter, match="logprobs"):
        completion.load(body, Priority.NORMAL, most_messages=10, api=Api.INFILL)


def test_what_is_kept_for_the_caller_is_kept_as_it_came():
    asked = load(metadata={"run": "7"}, store=True, user="u")
    assert (asked.metadata, asked.store, asked.user) == ({"run": "7"}, True, "u")
    assert load(prompt_cache_key="chat-7").ignored == ()
