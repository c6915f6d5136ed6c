"""Thought and content: the same text is sorted the same, however it is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presets.model import Reasoning
from workers.engines.harmony import TAGS
from workers.engines.reasoning import splitter, tags

THINK = Reasoning("tags", "<think>", "</think>")
HARMONY = Reasoning("harmony")
ASSISTANT = "<|start|>assistant"


def sort(form, pieces, prompt=""):
    """(content, thought) of a text that comes in pieces."""
    made = splitter(form, prompt)
    runs = [run for piece in pieces for run in made.push(piece)] + made.finish()
    assert all(run.text for run in runs)
    return tuple("".join(r.text for r in runs if r.is_thought is kind) for kind in (False, True))


@st.composite
def cut_text(draw, parts):
    """A text made of these parts, and it again in pieces."""
    text = "".join(draw(st.lists(st.sampled_from(parts), max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


MARK_PARTS = ["<think>", "</think>", "<thi", "</", "<", "nk>", " ", "\n", "a", "bc", "é"]
HARMONY_PARTS = [*TAGS, "analysis", "final", "commentary to=f", "assistant", "<|", "en", " ", "x"]


@given(cut_text(MARK_PARTS), st.sampled_from(["", "<think>\n"]))
def test_tags_are_found_over_any_border(cut, prompt):
    text, pieces = cut
    assert sort(THINK, pieces, prompt) == sort(THINK, [text], prompt)
    assert sort(THINK, text, prompt) == sort(THINK, [text], prompt)


@given(cut_text(HARMONY_PARTS), st.sampled_from(["", ASSISTANT]))
def test_channels_are_found_over_any_border(cut, prompt):
    text, pieces = cut
    assert sort(HARMONY, pieces, prompt) == sort(HARMONY, [text], prompt)
    assert sort(HARMONY, text, prompt) == sort(HARMONY, [text], prompt)


@given(cut_text(MARK_PARTS))
def test_nothing_but_tags_and_white_space_around_them_is_lost(cut):
    text, pieces = cut

    def letters(shown):
        return [c for c in shown.replace("<think>", "").replace("</think>", "") if c.strip()]

    content, thought = sort(THINK, pieces)
    assert sorted(letters(content + "\n" + thought)) == sorted(letters(text))


@given(cut_text(["a", " ", "<think>", "<|end|>"]))
def test_without_a_form_all_is_content(cut):
    text, pieces = cut
    assert sort(None, pieces, "<think>") == (text, "")


@pytest.mark.parametrize(
    ("text", "content", "thought"),
    [
        ("plain", "plain", ""),
        ("  plain ", "  plain ", ""),
        ("<think>\nso\n</think>\n\nyes\n", "yes\n", "so"),
        ("\n<think>so</think>yes", "yes", "so"),
        ("<think>\n\n</think>\n\nyes", "yes", ""),
        ("<think>one\n\ntwo", "", "one\n\ntwo"),
        ("<think>cut </thi", "", "cut </thi"),
        ("<think>", "", ""),
        ("<thi", "<thi", ""),
        ("<think>a</think>\n<think>b</think>c", "c", "a\nb"),
        ("<think></think><think>b</think>c", "c", "b"),
        ("<think>a</think>b <think>c</think>", "b <think>c</think>", "a"),
        ("say <think>a</think>", "say <think>a</think>", ""),
        ("<think>a <think> b</think>c", "c", "a <think> b"),
        ("never opened</think>yes", "never opened</think>yes", ""),
    ],
)
def test_think_tags(text, content, thought):
    assert sort(THINK, [text]) == (content, thought)


@pytest.mark.parametrize(
    ("text", "content", "thought"),
    [
        ("so\n</think>\n\nyes", "yes", "so"),
        ("\n</think>\n\nyes", "yes", ""),
        ("</think>yes", "yes", ""),
        ("cut", "", "cut"),
        ("<think>\nso</think>yes", "yes", "so"),
        ("so <think></think>yes", "yes", "so <think>"),
    ],
)
@pytest.mark.parametrize("prompt", ["<|im_start|>assistant\n<think>\n", "<|Assistant|><think>"])
def test_the_prompts_end_opens_a_thought(prompt, text, content, thought):
    assert sort(THINK, [text], prompt) == (content, thought)


@pytest.mark.parametrize(
    "prompt",
    [
        "<|im_start|>assistant\n",
        "<|im_start|>user\nWhat is <think>?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ],
)
def test_a_mark_elsewhere_in_the_prompt_opens_nothing(prompt):
    assert sort(THINK, ["yes"], prompt) == ("yes", "")


@pytest.mark.parametrize(
    ("text", "content", "thought"),
    [
        (
            "<|channel|>analysis<|message|>Add them.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>4<|return|>",
            "4",
            "Add them.",
        ),
        ("<|channel|>analysis<|message|>cut", "", "cut"),
        ("<|channel|>analysis", "", ""),
        ("<|channel|>final<|message|> 4\n", " 4\n", ""),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", "{}", ""),
        ("<|message|>4<|end|>", "4", ""),
        ("no form at all", "no form at all", ""),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant"
            "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
            "",
            "a\n{}",
        ),
        # An end that was left out.
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "b", "a"),
        ("<|channel|>final<|message|>4<|end|>said to nobody", "4", ""),
    ],
)
def test_channels(text, content, thought):
    assert sort(HARMONY, [text], f"<|start|>user<|message|>2+2?<|end|>{ASSISTANT}") == (
        content,
        thought,
    )


def test_a_channel_that_the_prompt_opened():
    prompt = f"{ASSISTANT}<|channel|>analysis<|message|>Well,"
    assert sort(HARMONY, [" so<|end|>"], prompt) == ("", "so")
    assert sort(HARMONY, ["4"], f"{ASSISTANT}<|channel|>final<|message|>") == ("4", "")


def test_whether_it_thinks_or_answers():
    made = splitter(THINK, "<think>\n")
    assert (made.thinking, made.answering) == (True, False)
    made.push("so</think>\n")
    assert (made.thinking, made.answering) == (False, False)
    made.push("yes")
    assert (made.thinking, made.answering) == (False, True)
    made = splitter(HARMONY, ASSISTANT)
    assert (made.thinking, made.answering) == (False, False)
    made.push("<|channel|>analysis<|message|>")
    assert (made.thinking, made.answering) == (True, False)
    made.push("<|end|><|start|>assistant<|channel|>final<|message|>")
    assert (made.thinking, made.answering) == (False, True)


def test_the_tags_of_a_form():
    assert tags(None) == ()
    assert tags(THINK) == ("<think>", "</think>")
    assert "<|channel|>" in tags(HARMONY)
