"""Calls on the tokenizer survive their way through Redis."""

import json

import pytest

from workers.contract.job import Message, TemplateOptions
from workers.contract.tokenizing import TokenizerCall
from workers.contract.tools import Tool, Tools

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "call",
    [
        TokenizerCall("m", prompt="Hi \ud83d", add_special=False, wants_ids=True),
        TokenizerCall("m", texts=("one", "")),
        TokenizerCall("m", token_ids=(1, 2, 3)),
        TokenizerCall(
            "m",
            (Message("user", "Hi"), Message("assistant", tool_calls=(CALL,))),
            TemplateOptions({"enable_thinking": False}, add_generation_prompt=False),
            Tools((Tool("f", "does"),)),
        ),
    ],
    ids=["prompt", "texts", "ids", "messages"],
)
def test_a_call_is_read_as_it_was_written(call):
    assert TokenizerCall.from_dict(json.loads(json.dumps(call.to_dict()))) == call


def test_a_field_of_a_newer_version_is_passed_over():
    assert TokenizerCall.from_dict({"model": "m", "prompt": "a", "newer": 1}).prompt == "a"
