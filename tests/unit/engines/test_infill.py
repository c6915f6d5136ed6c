"""A gap's surroundings as token ids: their order, and what is left out where there is no room."""

import pytest

from workers.contract.prompt import ContextFile, Prompt
from workers.engines.infill import InfillMarks, assemble, marks_among

BARE = InfillMarks(-1, -2, -3)
WHOLE = InfillMarks(-1, -2, -3, -4, -5)
BOS = [-9]


def letters(text):
    return [ord(letter) for letter in text]


def shown(ids):
    names = {-1: "<pre>", -2: "<suf>", -3: "<mid>", -4: "<repo>", -5: "<file>", -9: "<bos>"}
    return "".join(names.get(id_) or chr(id_) for id_ in ids)


def assembled(prompt, room=10_000, marks=WHOLE):
    return shown(assemble(marks, prompt, letters, BOS, room))


def test_the_gap_stands_between_prefix_and_suffix_and_the_answer_after_both():
    assert assembled(Prompt("ab", suffix="cd")) == "<bos><pre>ab<suf>cd<mid>"
    assert assembled(Prompt("ab", suffix="", middle="x")) == "<bos><pre>ab<suf><mid>x"


def test_files_stand_before_the_gap_each_after_its_mark():
    files = (ContextFile("a.py", "one"), ContextFile("b.py", "two"))
    prompt = Prompt("p", suffix="s", files=files, may_be_cut=True)
    assert assembled(prompt) == (
        "<bos><repo>repository\n<file>a.py\none\n<file>b.py\ntwo\n<file>filename\n<pre>p<suf>s<mid>"
    )
    assert assembled(prompt, marks=BARE) == "<bos>a.py\none\nb.py\ntwo\n<pre>p<suf>s<mid>"


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("p" * 100, "s" * 100, ("p" * 30, "s" * 10)),
        ("p" * 10, "s" * 100, ("p" * 10, "s" * 30)),
        ("p" * 100, "", ("p" * 40, "")),
    ],
)
def test_what_is_far_from_the_gap_is_left_out(before, after, kept):
    prompt = Prompt(f"far{before}", suffix=f"{after}far" if after else "", may_be_cut=True)
    # A BOS, three marks, and what is left.
    text = assembled(prompt, room=44)
    if len(before) > 10:
        assert text == f"<bos><pre>{kept[0]}<suf>{kept[1]}<mid>"
    else:
        assert text == f"<bos><pre>far{kept[0]}<suf>{'s' * 27}<mid>"


def test_the_last_files_stay_where_not_all_have_room():
    files = tuple(ContextFile(f"{name}.py", name * 20) for name in "abc")
    prompt = Prompt("p", suffix="s", files=files, may_be_cut=True)
    text = assembled(prompt, room=6 + 11 + 10 + 1 + 2 * 27)
    assert "aaa" not in text
    assert text.index("bbb") < text.index("ccc")
    assert len(text.replace("<bos>", "B")) < 200


def test_a_prompt_that_may_not_be_cut_is_whole():
    assert len(assembled(Prompt("p" * 100, suffix="s" * 100), room=10)) > 200


def test_marks_are_known_by_their_texts():
    qwen = {
        "<|fim_prefix|>": 1,
        "<|fim_suffix|>": 2,
        "<|fim_middle|>": 3,
        "<|repo_name|>": 4,
        "<|file_sep|>": 5,
    }
    assert marks_among(qwen) == InfillMarks(1, 2, 3, 4, 5)
    assert marks_among({"<fim_prefix>": 7, "<fim_suffix>": 8, "<fim_middle>": 9}) == InfillMarks(
        7, 8, 9
    )
    assert marks_among({"<|fim_prefix|>": 1}) is None
