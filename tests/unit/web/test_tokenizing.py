"""What may be asked of the tokenizer, before anybody counts."""

import pytest

from web.schemas import tokenizing
from workers.contract.errors import ValidationFailed
from workers.contract.job import Message, TemplateOptions

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f"}}


def test_a_prompt():
    call, ignored = tokenizing.tokenize({"model": "m", "prompt": "", "user": "u"}, 4)
    assert (call.model, call.prompt, call.add_special, ignored) == ("m", "", True, ["user"])
    call, _ = tokenizing.tokenize({"model": "m", "prompt": "a", "add_special_tokens": False}, 4)
    assert call.add_special is False


def test_a_conversation():
    body = {"model": "m", "messages": HI, "tools": [TOOL], "add_generation_prompt": False}
    call, _ = tokenizing.tokenize(body, 4)
    assert call.messages == (Message("user", "Hi"),)
    assert call.template == TemplateOptions(add_generation_prompt=False)
    assert [tool.name for tool in call.tools.offered] == ["f"]


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "prompt", "send prompt or messages"),
        ({"prompt": "a", "messages": HI}, "prompt", "one of both"),
        ({"prompt": ["a"]}, "prompt", "must be a string"),
        ({"prompt": [1, 2]}, "prompt", "must be a string"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": HI * 5}, "messages", "at most 4"),
        ({"messages": [{"role": "boss", "content": "a"}]}, "messages.0.role", "one of"),
        ({"messages": HI, "add_special_tokens": True}, "add_special_tokens", "only with prompt"),
        ({"prompt": "a", "tools": [TOOL]}, "tools", "only with messages"),
        ({"prompt": "a", "continue_final_message": True}, "continue_final_message", "messages"),
        ({"prompt": "a", "add_special_token": True}, "add_special_token", "did you mean"),
        ({"messages": HI, "continue_final_message": True}, "continue_final_message", "assistant"),
    ],
)
def test_what_is_wrong_is_named(body, param, words):
    with pytest.raises(ValidationFailed, match=words) as refused:
        tokenizing.tokenize({"model": "m", **body}, 4)
    assert refused.value.details["param"] == param


@pytest.mark.parametrize(
    ("tokens", "param", "words"),
    [
        (None, "tokens", "is missing"),
        ("1 2", "tokens", "must be a list"),
        ([1, -1], "tokens.1", "from 0 to"),
        ([1.5], "tokens.0", "whole number"),
        ([True], "tokens.0", "whole number"),
        ([2**31], "tokens.0", "from 0 to"),
        ([0] * (tokenizing.MOST_IDS + 1), "tokens", "at most"),
    ],
    ids=["missing", "a text", "negative", "a part", "a boolean", "beyond 32 bits", "too many"],
)
def test_ids_that_can_be_none(tokens, param, words):
    with pytest.raises(ValidationFailed, match=words) as refused:
        tokenizing.detokenize({"model": "m", "tokens": tokens})
    assert refused.value.details["param"] == param


def test_ids():
    assert tokenizing.detokenize({"model": "m", "tokens": [1, 2]})[0].token_ids == (1, 2)
    assert tokenizing.detokenize({"model": "m", "tokens": []})[0].token_ids == ()
