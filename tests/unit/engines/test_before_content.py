"""Which tokens may come before the content of a held answer, on a vocabulary that is made up."""

import pytest

from presets.model import Reasoning
from workers.engines import reasoning
from workers.engines.grammar_gate import GrammarGate
from workers.engines.vllm.pieces import BeforeContent, words

TOKENS = [
    "",
    "<think>",
    "</think>",
    "<",
    "think>",
    "/think>",
    "so",
    "\n",
    "{",
    " {",
    "</think>{",
    ">{",
    "->x",
    "7",
    "<|failure|>",
    "<|channel|>",
    "<|message|>",
    "final",
]
END, FAILURE = "", "<|failure|>"
TAGS = Reasoning("tags", "<think>", "</think>")
HARMONY = Reasoning("harmony")


class Pieces:
    """A vocabulary of these tokens."""

    size = len(TOKENS)
    failure = TOKENS.index(FAILURE)

    def piece(self, token):
        return TOKENS[token].encode() if TOKENS[token] != FAILURE else b""

    def ends_turn(self, token):
        return TOKENS[token] == END


def allowed(form, prompt, said, likeliest, content=("{", " {", END)):
    gate = GrammarGate(Pieces(), reasoning.splitter(form, prompt))
    for text in said:
        gate.take(TOKENS.index(text))
    before = BeforeContent(Pieces(), reasoning.tags(form))
    mask = words(map(TOKENS.index, content), len(TOKENS))
    bits = before.allowed(gate, mask, lambda: TOKENS.index(likeliest))
    return {text for token, text in enumerate(TOKENS) if bits[token >> 5] >> (token & 31) & 1}


@pytest.mark.parametrize("said", [[], ["so"], ["so", "<"]])
def test_a_thought_is_free_but_for_its_end(said):
    never = {END, FAILURE, "</think>{", ">{"}
    assert allowed(TAGS, "<think>", said, "so") == set(TOKENS) - never


def test_before_the_content_a_thought_may_begin_where_the_model_wants_one():
    assert allowed(TAGS, "", [], "<think>") == {"<think>", "<", "\n", "{", " {"}
    assert allowed(TAGS, "", ["<think>", "so", "</think>"], "\n") >= {"{", "\n"}


@pytest.mark.parametrize("said", [[], ["<think>", "so", "</think>"], ["\n"]])
def test_where_the_model_wants_content_it_begins(said):
    assert allowed(TAGS, "", said, "so") == {"{", " {"}


def test_a_tag_that_was_begun_is_ended():
    assert allowed(TAGS, "", ["<"], "so") == {"think>"}


def test_a_header_is_free():
    said = ["<|channel|>"]
    assert {"final", "so", "<|message|>"} <= allowed(HARMONY, "<|start|>assistant", said, "so")
    said += ["final", "<|message|>"]
    gate = GrammarGate(Pieces(), reasoning.splitter(HARMONY, "<|start|>assistant"))
    for text in said:
        gate.take(TOKENS.index(text))
    assert gate.passed
