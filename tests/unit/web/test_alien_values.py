"""A value that does not belong where it stands is refused by name, wherever it stands."""

import contextlib
import json

import pytest

from web.schemas import completion
from workers.contract.errors import InferenceError
from workers.contract.job import Api, Priority

#: A lone surrogate never comes so far: the gate refuses it.
ALIENS = (None, True, -1, 0.5, 2**70, "", "x", [], {}, [None], [[None]], {"": None})
_FUNCTION = {"name": "f", "description": "d", "strict": True, "parameters": {"type": "object"}}
_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_SAMPLED = {
    "model": "m",
    "max_tokens": 20,
    "temperature": 1,
    "stop": ["a", "b"],
    "seed": 1,
    "logit_bias": {"5": 1.0},
    "stop_token_ids": [1, 2],
    "dry_sequence_breakers": ["x"],
    "min_tokens": 1,
    "xtc_probability": 0.5,
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "stream": True,
    "stream_options": {"include_usage": True, "include_steps": True},
    "user": "u",
}
BODIES = {
    Api.CHAT: {
        **_SAMPLED,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "t"}], "name": "n"},
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "content": "r", "tool_call_id": "c1"},
            {"role": "assistant", "content": None, "function_call": _CALL["function"]},
            {"role": "function", "content": "r", "name": "f"},
        ],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "tools": [{"type": "function", "function": _FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": True,
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": False},
    },
    Api.TEXT: {**_SAMPLED, "prompt": ["a", "b"], "logprobs": 2, "n": 2, "echo": False},
    Api.INFILL: {
        "model": "m",
        "input_prefix": "a",
        "input_suffix": "b",
        "prompt": "c",
        "input_extra": [{"text": "t", "filename": "f"}],
        "n_predict": 5,
        "stop": ["a"],
        "logit_bias": [[1, 2]],
    },
}
CONSTRAINTS = (
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
    {"structured_outputs": {"choice": ["a", "b"]}},
    {"structured_outputs": {"json": {"type": "object"}}},
    {"guided_choice": ["a", "b"]},
    {"guided_json": {"type": "object", "properties": {"a": {"type": "string"}}}},
    {"functions": [_FUNCTION], "function_call": {"name": "f"}, "tools": None, "tool_choice": None},
    {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
)


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(member, (*path, name))


def with_alien(body, path, alien):
    body = json.loads(json.dumps(body))
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = alien
    return body


def load(body, api):
    return completion.load(body, Priority.NORMAL, most_messages=10, api=api)


@pytest.mark.parametrize(
    ("api", "fields"),
    [(api, {}) for api in BODIES] + [(Api.CHAT, fields) for fields in CONSTRAINTS],
    ids=str,
)
def test_an_alien_value_is_taken_or_refused_and_never_a_fault(api, fields):
    body = BODIES[api] | fields
    for path in places(body):
        for alien in ALIENS if path else ():
            with contextlib.suppress(InferenceError):
                loaded = load(with_alien(body, path, alien), api)
                named = (*loaded.sampling.stop_token_ids, *loaded.sampling.logit_bias)
                assert None not in named, path


@pytest.mark.parametrize("api", BODIES)
def test_the_body_itself_is_taken(api):
    assert load(BODIES[api], api).model == "m"
