"""Where the grammar of an answer begins, on a vocabulary that the test makes up."""

import pytest

from presets.model import Reasoning
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.reasoning import splitter

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
    "é",
]
END = 0
THOUGHT, CONTENT, NEITHER = TokenRole.THOUGHT, TokenRole.CONTENT, TokenRole.NEITHER


class Words:
    """A vocabulary of these tokens."""

    def piece(self, token):
        return TOKENS[token].encode()

    def ends_turn(self, token):
        return token == END


def gate(form=None, prompt="", said=()):
    made = GrammarGate(Words(), splitter(form or Reasoning("tags", "<think>", "</think>"), prompt))
    for text in said:
        made.take(TOKENS.index(text))
    return made


@pytest.mark.parametrize(
    ("prompt", "said", "text", "part"),
    [
        # Nothing was said: a thought may begin, or the content.
        ("", [], "<think>", THOUGHT),
        ("", [], "<", THOUGHT),
        ("", [], "\n", THOUGHT),
        ("", [], "{", CONTENT),
        ("", ["\n"], " {", CONTENT),
        ("", [], "", NEITHER),
        # A tag that was begun goes on: else its beginning would be content.
        ("", ["<"], "think>", THOUGHT),
        ("", ["<"], "{", NEITHER),
        # In a thought, however it was opened.
        ("<think>\n", [], "{", THOUGHT),
        ("", ["<think>"], "so", THOUGHT),
        ("", ["<", "think>"], "é", THOUGHT),
        ("", ["<think>", "so"], "</think>", THOUGHT),
        ("", ["<think>", "so"], "", NEITHER),
        # The grammar takes whole tokens: this one is only in part its own.
        ("", ["<think>", "so"], "</think>{", NEITHER),
        # After it.
        ("", ["<think>", "so", "<", "/think>"], "\n", THOUGHT),
        ("", ["<think>", "so", "</think>"], "{", CONTENT),
        ("", ["<think>", "so", "</think>", "\n"], " {", CONTENT),
        ("", ["<think>", "so", "</think>"], "", NEITHER),
        # In the content everything is the grammar's, the end too.
        ("", ["<think>", "</think>", "{"], "<think>", CONTENT),
        ("", ["{"], "", CONTENT),
    ],
)
def test_what_a_token_would_be(prompt, said, text, part):
    made = gate(prompt=prompt, said=said)
    token = TOKENS.index(text)
    assert made.role(token) is part
    assert made.role(token) is part, "asking changes nothing"
    assert made.take(token) is part


def test_without_a_form_all_is_content():
    made = GrammarGate(Words(), splitter(None, ""))
    assert [made.role(token) for token in range(len(TOKENS))] == [CONTENT] * len(TOKENS)


def test_whether_it_thinks():
    assert gate(said=["<think>"]).thinking
    assert not gate(said=["<think>", "</think>"]).thinking
